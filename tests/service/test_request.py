"""What may stand in a request, and what is said about one that may not."""

import msgspec
import pytest

from twinserve.bundle.images import ImageFormat
from twinserve.errors import InvalidField, RequestError, UnsupportedMedia
from twinserve.service.request import GenerateRequest, Layout, parse_request

MODELS = ("faces",)


def parsed(fields: object, accept: str = "", content_type: str = "application/json") -> object:
    body = fields if isinstance(fields, bytes) else msgspec.json.encode(fields)
    return parse_request(body, content_type, accept, MODELS)


def test_an_empty_body_asks_for_one_image_of_a_random_seed() -> None:
    first, second = parsed(b""), parsed({})
    assert isinstance(first, GenerateRequest)
    assert isinstance(second, GenerateRequest)
    assert (first.num_images, first.image_format, first.as_file) == (1, ImageFormat.PNG, False)
    assert first.seed != second.seed


def test_every_field_is_read() -> None:
    fields = {"num_images": 64, "seed": 7, "model": "faces", "format": "webp", "layout": "list"}
    expected = GenerateRequest(64, 7, "faces", 0.7, ImageFormat.WEBP, Layout.LIST, as_file=False)
    assert parsed({**fields, "psi": 0.7}) == expected


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("num_images", 0, "1 to 64"),
        ("num_images", 65, "1 to 64"),
        ("num_images", -1, "1 to 64"),
        ("num_images", 1.5, "whole number"),
        ("num_images", "8", "whole number"),
        ("num_images", True, "whole number"),
        ("num_images", None, "whole number"),
        ("num_images", 10**30, "1 to 64"),
        ("seed", -1, "0 to"),
        ("seed", 2**63, "0 to"),
        ("seed", [7], "whole number"),
        ("model", "nobody", "faces"),
        ("model", 3, "faces"),
        ("psi", 1.01, "from 0 to 1"),
        ("psi", -0.5, "from 0 to 1"),
        ("psi", "1", "from 0 to 1"),
        ("psi", True, "from 0 to 1"),
        ("format", "gif", "png or jpeg or webp"),
        ("format", {"a": 1}, "png or jpeg or webp"),
        ("layout", "circle", "grid or list"),
        ("colour", "red", "format, layout, model, num_images, psi, seed"),
    ],
)
def test_a_bad_field_is_named_with_its_value_and_what_is_allowed(
    field: str, value: object, allowed: str
) -> None:
    with pytest.raises(InvalidField) as caught:
        parsed({field: value})
    assert caught.value.field == field
    assert caught.value.value == value
    assert allowed in caught.value.allowed
    assert field in str(caught.value)


@pytest.mark.parametrize("body", [b"{", b"nonsense", b'{"seed": 7', b"\xff\xfe", b"[" * 30_000])
def test_a_body_that_is_not_json_is_refused(body: bytes) -> None:
    with pytest.raises(RequestError, match="not JSON"):
        parsed(body)


@pytest.mark.parametrize("value", [[], "seed", 7, None, True])
def test_json_that_is_no_object_is_refused(value: object) -> None:
    with pytest.raises(RequestError, match="send an object"):
        parsed(value)


def test_a_body_declared_as_something_else_is_refused() -> None:
    with pytest.raises(UnsupportedMedia, match="text/plain"):
        parsed({}, content_type="text/plain")


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", None),
        ("*/*", None),
        ("application/json", None),
        ("application/json, image/png", None),
        ("image/png", ImageFormat.PNG),
        ("image/jpeg;q=0.9, */*", ImageFormat.JPEG),
        ("text/html, image/webp", ImageFormat.WEBP),
        ("image/*", ImageFormat.PNG),
    ],
)
def test_the_accept_header_asks_for_a_file(accept: str, expected: ImageFormat | None) -> None:
    request = parsed({}, accept)
    assert isinstance(request, GenerateRequest)
    assert (request.image_format if request.as_file else None) == expected


def test_format_and_accept_may_not_contradict() -> None:
    with pytest.raises(InvalidField, match="format is 'png'; allowed is jpeg"):
        parsed({"format": "png"}, "image/jpeg")
    with pytest.raises(InvalidField, match="layout"):
        parsed({"layout": "list"}, "image/png")
