"""Services elsewhere: addresses and secrets stay in memory, refusals say what to do."""

import pytest

from twinserve.errors import UsageError
from twinserve.load.remote import Service, check_secrecy, checked_url, tls_context

SERVICE = Service(
    "function",
    "https://faces-abc.run.example:8443/v1",
    headers={"Authorization": "Bearer very-secret", "X-Key": "other"},
)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("faces.example", "must begin with https://HOST"),
        ("ftp://faces.example", "must begin with https://HOST"),
        ("https://", "must begin with https://HOST"),
        ("https://faces.example:port", "cannot be read"),
        ("https://me:word@faces.example", "user or a password"),
        ("https://faces.example/?key=word", "query or a fragment"),
        ("https://faces.example/#word", "query or a fragment"),
    ],
)
def test_a_url_that_cannot_be_asked_or_holds_a_secret_is_refused(url, why):
    with pytest.raises(UsageError, match=why) as refused:
        checked_url("function", url)
    assert "word" not in str(refused.value).replace("password", "")


def test_a_url_keeps_its_path_and_loses_the_slash_at_its_end():
    assert checked_url("function", "https://faces.example/v1/") == "https://faces.example/v1"


def test_headers_go_over_encrypted_connections_or_stay_on_this_machine():
    check_secrecy(SERVICE)
    check_secrecy(Service("function", "http://127.0.0.1:8080", headers={"X-Key": "other"}))
    check_secrecy(Service("function", "http://faces.example"))
    with pytest.raises(UsageError, match="could be read on the"):
        check_secrecy(Service("function", "http://faces.example", headers={"X-Key": "other"}))


def test_messages_name_the_side_in_place_of_its_address_and_hide_what_headers_hold():
    said = SERVICE.hidden(
        "faces-abc.run.example:8443 refused Bearer very-secret (very-secret, other) at "
        "faces-abc.run.example"
    )
    assert said == (
        "function refused (not written down) ((not written down), (not written down)) at function"
    )
    assert SERVICE.shown_url == "https://function/generate"
    assert "secret" not in repr(SERVICE)
    assert "example" not in repr(SERVICE)


def test_a_file_that_holds_no_certificate_is_refused(tmp_path):
    path = tmp_path / "cert.pem"
    path.write_text("no certificate")
    with pytest.raises(UsageError, match="holds no certificate in PEM form"):
        tls_context(path)
