"""Ready, and the same images as here? Asked of a real service over HTTP."""

from __future__ import annotations

import base64
import json
import math
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from twinserve.bundle.images import ImageFormat, decode, encode
from twinserve.cloud.asking import ask_url, identity_token
from twinserve.cloud.patience import Patience
from twinserve.cloud.verify import psnr_db, verify
from twinserve.errors import CloudError

REQUESTS = ((1, 7), (3, 0))
Answer = tuple[int, bytes]


def silent(*_: object) -> None:
    """Nobody watches."""


def test_a_service_of_the_same_model_is_verified_pixel_by_pixel(
    service_url: str, patience: Patience
) -> None:
    found = verify(ask_url(service_url), "random-16", REQUESTS, 40, patience, silent)
    assert (found.requests, found.images, found.lowest_db) == (2, 4, math.inf)
    assert str(found) == "ready, and all 2 requests (4 images) gave equal pixels"


def test_a_service_of_another_model_is_not_taken(service_url: str, patience: Patience) -> None:
    with pytest.raises(CloudError, match=r"other images than random-32 makes here: PSNR is -inf"):
        verify(ask_url(service_url), "random-32", REQUESTS, 40, patience, silent)


def shifted(service_url: str, by: int) -> Callable[..., Answer]:
    """The service behind a front that changes every value of every picture a little."""
    real = ask_url(service_url)

    def ask(method: str, path: str, body: bytes | None = None) -> Answer:
        status, answer = real(method, path, body)
        if path != "/generate":
            return status, answer
        found = json.loads(answer)
        found["images"] = [_moved(each, by) for each in found["images"]]
        return status, json.dumps(found).encode()

    return ask


def _moved(picture: str, by: int) -> str:
    pixels = decode(base64.b64decode(picture)).astype(int)
    moved = np.where(pixels < 128, pixels + by, pixels - by).astype(np.uint8)
    return base64.b64encode(encode(moved, ImageFormat.PNG)).decode()


def test_rounding_of_another_cpu_is_taken_and_told(service_url: str, patience: Patience) -> None:
    found = verify(shifted(service_url, 1), "random-16", REQUESTS, 40, patience, silent)
    assert 48.1 < found.lowest_db < 48.2  # 20 log10(255)
    assert "within rounding (PSNR 48.1 dB or more)" in str(found)


def test_more_than_rounding_is_not(service_url: str, patience: Patience) -> None:
    with pytest.raises(CloudError, match=r"PSNR is 36.1 dB, at least 40 dB"):
        verify(shifted(service_url, 4), "random-16", REQUESTS, 40, patience, silent)


def test_a_name_that_is_not_known_yet_is_waited_for(service_url: str, patience: Patience) -> None:
    real, waits = ask_url(service_url), iter([404, 403, 503, OSError("no route")])
    seen: list[str] = []

    def ask(method: str, path: str, body: bytes | None = None) -> Answer:
        first = next(waits, None)
        if isinstance(first, OSError):
            raise first
        return (first, b"not yet") if first else real(method, path, body)

    verify(ask, "random-16", REQUESTS, 40, patience, lambda words, *_: seen.append(words))
    assert [words.partition(": ")[2] for words in seen] == [
        "it answers 404 (not yet)",
        "it answers 403 (not yet)",
        "it answers 503 (not yet)",
        "the connection failed (no route)",
    ]


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ({"/readyz": (418, b"teapot")}, "does not say that it is ready: it answers 418 (teapot)"),
        ({"/readyz": (403, b"no")}, "it answers 403 (no)"),
        ({"/readyz": OSError("refused")}, "the connection failed (refused)"),
        ({"/generate": (500, b"broken")}, "POST /generate answers 500: broken"),
        ({"/generate": OSError("reset")}, "It does not answer (reset)"),
        ({"/generate": (200, b"{}")}, "gave no readable images"),
        ({"/generate": (200, b'{"images": ["AAAA"]}')}, "gave no readable images"),
        ({"/generate": (200, b'{"images": []}')}, "gave 0 images where 1 were asked for"),
    ],
    ids=str,
)
def test_what_does_not_serve_is_told(
    answers: dict[str, Any], words: str, patience: Patience
) -> None:
    def ask(_method: str, path: str, _body: bytes | None = None) -> Answer:
        answer: Any = answers.get(path, (200, b"{}"))
        if isinstance(answer, OSError):
            raise answer
        return answer  # type: ignore[no-any-return]

    with pytest.raises(CloudError) as caught:
        verify(ask, "random-16", REQUESTS, 40, replace(patience, ready_s=0.05), silent)
    assert words in str(caught.value)


def test_psnr_is_as_it_is_defined() -> None:
    black, white = np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 255, np.uint8)
    assert psnr_db(black, black) == math.inf
    assert psnr_db(black, white) == 0
    assert psnr_db(black, np.zeros((4, 4, 3), np.uint8)) == -math.inf


def test_a_gateway_is_asked_in_the_name_of_the_service(
    service_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    opened = urllib.request.urlopen
    monkeypatch.setattr(
        urllib.request, "urlopen", lambda req, **kw: seen.append(req) or opened(req, **kw)
    )
    ask = ask_url("http://faces.default.svc.cluster.local", gateway=service_url)
    assert ask("GET", "/readyz")[0] == 200
    assert seen[0].get_header("Host") == "faces.default.svc.cluster.local"


def test_a_token_goes_along_over_https_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert identity_token("http://127.0.0.1:1") is None
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    monkeypatch.setenv("PATH", str(tmp_path))
    token = identity_token("https://faces-uc.a.run.app/path")
    assert token
    with pytest.raises(CloudError, match=r"gcloud auth login.*--no-verify"):
        token()
    gcloud = tmp_path / "gcloud"
    gcloud.write_text('#!/bin/sh\necho "token for $1 $2"\n')
    gcloud.chmod(0o755)
    assert token() == "token for auth print-identity-token"


def test_a_service_that_refuses_us_is_not_asked_for_a_quarter_of_an_hour() -> None:
    clock = [0.0]
    patience = Patience(
        ready_s=900, now=lambda: clock[0], pause=lambda s: clock.__setitem__(0, clock[0] + s)
    )
    with pytest.raises(CloudError, match=r"it answers 403 \(no\)"):
        verify(lambda *_: (403, b"no"), "random-16", REQUESTS, 40, patience, silent)
    assert 120 < clock[0] < 130
