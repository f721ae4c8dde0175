"""Both edges as users run them: real gunicorn, real functions-framework, real HTTP."""

import base64
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pytest

import twinserve.service
from twinserve.bundle.engine import Engine
from twinserve.bundle.images import decode, grid
from twinserve.bundle.store import open_bundle

MODEL, LARGER = "random-16", "random-32"
FUNCTION = Path(twinserve.service.__file__).with_name("function.py")
COMMANDS = {
    "container": [
        *(sys.executable, "-m", "gunicorn", "--threads", "4", "--bind", "127.0.0.1:{port}"),
        *("--no-control-socket", "twinserve.service.container:create_app()"),
    ],
    "function": [
        *(sys.executable, "-m", "functions_framework", "--target", "generate"),
        *("--source", str(FUNCTION), "--host", "127.0.0.1", "--port", "{port}"),
    ],
}


class Reply(NamedTuple):
    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


def ask(
    url: str,
    fields: object = None,
    method: str | None = None,
    **headers: str,
) -> Reply:
    data = None if fields is None else fields
    body = data if isinstance(data, bytes | None) else msgspec.json.encode(data)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    if body is not None:
        names.setdefault("Content-Type", "application/json")
    request = urllib.request.Request(url, body, names, method=method)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return Reply(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Reply(error.code, error.headers, error.read())


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return int(server.getsockname()[1])


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, str]]:
    urls, processes = {}, []
    for kind, command in COMMANDS.items():
        port = free_port()
        processes.append(
            subprocess.Popen(
                [part.format(port=port) for part in command],
                env={
                    **os.environ,
                    "TWINSERVE_MODEL": MODEL,
                    "TWINSERVE_MORE_MODELS": LARGER,
                    "PORT": str(port),
                },
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )
        urls[kind] = f"http://127.0.0.1:{port}"
    try:
        for process, url in zip(processes, urls.values(), strict=True):
            until_ready(process, url)
        yield urls
    finally:
        for process in processes:
            process.terminate()
            process.wait()


def until_ready(process: subprocess.Popen[bytes], url: str) -> None:
    while process.poll() is None:
        try:
            if ask(f"{url}/readyz").status == 200:
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"{process.args} ended with {process.returncode}")


@pytest.fixture(params=list(COMMANDS))
def url(request: pytest.FixtureRequest, servers: dict[str, str]) -> str:
    return servers[request.param]


def test_equal_seeds_give_equal_pixels_through_both_edges(servers: dict[str, str]) -> None:
    fields = {"num_images": 5, "seed": 7}
    answers = {kind: ask(f"{url}/generate", fields).json for kind, url in servers.items()}
    assert answers["container"]["images"] == answers["function"]["images"]
    assert answers["container"]["src"] == answers["function"]["src"]
    engine = Engine(open_bundle(MODEL))
    for k, file in enumerate(answers["function"]["images"]):
        assert np.array_equal(decode(base64.b64decode(file)), engine.image(7, k))


def test_an_answer_holds_all_that_the_contract_names(url: str) -> None:
    reply = ask(f"{url}/generate", {"num_images": 3, "seed": 9})
    assert reply.status == 200
    answer = reply.json
    assert (answer["seed"], answer["model"], answer["resolution"]) == (9, MODEL, 16)
    assert answer["time"] > 0
    assert len(answer["images"]) == 3
    images = [decode(base64.b64decode(file)) for file in answer["images"]]
    assert np.array_equal(decode(base64.b64decode(answer["src"])), grid(images))
    timing = reply.headers["Server-Timing"]
    assert all(f"{name};dur=" in timing for name in ("process", "queue", "inference", "encode"))


@pytest.mark.parametrize(
    ("layout", "sheet", "images"), [("grid", True, 0), ("list", False, 2), (None, True, 2)]
)
def test_the_layout_says_what_comes_back(
    url: str, layout: str | None, sheet: bool, images: int
) -> None:
    fields: dict[str, object] = {"num_images": 2, "seed": 1}
    answer = ask(f"{url}/generate", fields | ({"layout": layout} if layout else {})).json
    assert bool(answer["src"]) == sheet
    assert len(answer["images"]) == images


@pytest.mark.parametrize(
    ("media_type", "magic"),
    [("image/png", b"\x89PNG"), ("image/jpeg", b"\xff\xd8"), ("image/webp", b"RIFF")],
)
def test_an_accepted_image_type_gives_its_bytes(url: str, media_type: str, magic: bytes) -> None:
    reply = ask(f"{url}/generate", {"num_images": 4, "seed": 1}, Accept=media_type)
    assert reply.headers["Content-Type"] == media_type
    assert reply.body.startswith(magic)
    assert decode(reply.body).shape == (32, 32, 3)


def test_the_function_answers_on_its_root_as_well(servers: dict[str, str]) -> None:
    fields = {"seed": 3}
    root = ask(f"{servers['function']}/", fields).json
    assert root["images"] == ask(f"{servers['function']}/generate", fields).json["images"]
    assert ask(f"{servers['container']}/", fields).status == 404


def test_another_model_is_loaded_when_it_is_first_asked_for(servers: dict[str, str]) -> None:
    fields = {"model": LARGER, "seed": 7}
    for url in servers.values():
        first, second = (ask(f"{url}/generate", fields) for _ in range(2))
        assert (first.json["model"], first.json["resolution"]) == (LARGER, 32)
        assert "load;dur=" in first.headers["Server-Timing"]
        assert "load;dur=" not in second.headers["Server-Timing"]
        assert first.json["src"] == second.json["src"]
    image = Engine(open_bundle(LARGER)).image(7, 0)
    assert np.array_equal(decode(base64.b64decode(first.json["src"])), image)


def test_truncation_draws_pictures_towards_their_mean(url: str) -> None:
    def spread(psi: float) -> float:
        images = ask(f"{url}/generate", {"num_images": 16, "seed": 7, "psi": psi}).json["images"]
        pixels = np.stack([decode(base64.b64decode(image)) for image in images])
        return float(pixels.std(axis=0).mean())

    assert spread(0) == 0
    assert 0 < spread(0.4) < spread(1)


@pytest.mark.parametrize(
    ("status", "fields", "headers", "named"),
    [
        (400, b"{", {}, "not JSON"),
        (400, b"[]", {}, "object"),
        (415, b"seed=7", {"Content_Type": "text/plain"}, "text/plain"),
        (422, {"num_images": 0}, {}, "num_images is 0"),
        (422, {"num_images": 65}, {}, "1 to 64"),
        (422, {"num_images": "two"}, {}, "'two'"),
        (422, {"model": "nobody"}, {}, f"{MODEL} or {LARGER}"),
        (422, {"psi": 1.5}, {}, "a number from 0 to 1"),
        (422, {"format": "gif"}, {}, "png or jpeg or webp"),
        (413, b" " * (64 * 1024 + 1), {}, "65,536"),
    ],
)
def test_bad_input_is_a_problem_that_says_what_is_allowed(
    url: str, status: int, fields: object, headers: dict[str, str], named: str
) -> None:
    reply = ask(f"{url}/generate", fields, **headers)
    assert reply.status == status
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert reply.json["status"] == status
    assert named in reply.json["detail"]


def test_a_bad_field_is_named_apart_from_the_sentence(url: str) -> None:
    problem = ask(f"{url}/generate", {"num_images": 65}).json
    assert (problem["field"], problem["value"]) == ("num_images", 65)
    assert problem["allowed"] == "a whole number from 1 to 64"


def test_a_body_of_unknown_length_is_limited_too(url: str) -> None:
    host, port = url.removeprefix("http://").split(":")
    chunk = b"1000\r\n" + b" " * 4096 + b"\r\n"
    with closing(socket.create_connection((host, int(port)), timeout=60)) as connection:
        connection.sendall(
            b"POST /generate HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 17 + b"0\r\n\r\n"
        )
        assert b" 413 " in connection.recv(4096)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_a_wrong_method_is_told_the_right_one(url: str, method: str) -> None:
    reply = ask(f"{url}/generate", method=method)
    assert reply.status == 405
    assert reply.headers["Allow"] == "POST"
    assert reply.json["title"] == "Method not allowed"


def test_an_unknown_path_lists_the_known(url: str) -> None:
    reply = ask(f"{url}/nowhere")
    assert reply.status == 404
    assert "/generate" in reply.json["detail"]


def test_the_endpoints_of_the_contract_answer(url: str) -> None:
    assert ask(f"{url}/healthz").json == {"status": "ok"}
    ready = ask(f"{url}/readyz").json
    assert (ready["status"], ready["model"]) == ("ready", MODEL)
    assert all(ready["start"][stage] > 0 for stage in ("load_ms", "inference_ms"))
    models = ask(f"{url}/models").json
    assert models["default"] == MODEL
    assert models["models"][0]["resolution"] == 16
    document = ask(f"{url}/openapi.json").json
    assert "/generate" in document["paths"]
    count = b'twinserve_requests_total{path="/models",status="200"}'
    assert count in ask(f"{url}/metrics").body
