"""A download against a real server that breaks off, lies, and serves other bytes."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from twinserve.errors import CheckpointError, UsageError
from twinserve.zoo import download
from twinserve.zoo.download import Patience, fetch

CONTENT = bytes(range(256)) * 1200  # several chunks
DIGEST = hashlib.sha256(CONTENT).hexdigest()[:8]
QUICK = Patience(timeout_s=5, attempts=3, pause=lambda _: None)


@dataclass
class Server:
    """A server on loopback; ``answers`` holds what it does to each request in turn, the last one
    from then on."""

    answers: list[Callable[[Any], None]]
    asked: list[str | None] = field(default_factory=list)  # the Range of each request
    url: str = ""


@contextmanager
def serving(*answers: Callable[[Any], None]) -> Iterator[Server]:
    server = Server(list(answers))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = server.answers[min(len(server.asked), len(server.answers) - 1)]
            server.asked.append(self.headers.get("Range"))
            answer(self)

        def log_message(self, *_: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    server.url = f"http://127.0.0.1:{http.server_port}/file.pth"
    try:
        yield server
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


def well(
    content: bytes = CONTENT,
    *,
    ranges: bool = True,
    sent: int | None = None,
    announced: int | None = None,
    length: bool = True,
    content_range: str | None = None,
) -> Callable[[Any], None]:
    """Serve ``content``: only ``sent`` bytes of what is due, with a Content-Length that says
    ``announced``, with or without ranges."""

    def answer(handler: Any) -> None:
        asked = handler.headers.get("Range")
        first = int(asked.removeprefix("bytes=").rstrip("-")) if asked and ranges else 0
        due = content[first:]
        if asked and ranges and not due:
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{len(content)}")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        handler.send_response(206 if asked and ranges else 200)
        if asked and ranges:
            said = content_range or f"bytes {first}-{len(content) - 1}/{len(content)}"
            handler.send_header("Content-Range", said)
        if length:
            handler.send_header("Content-Length", str(len(due) if announced is None else announced))
        handler.end_headers()
        handler.wfile.write(due if sent is None else due[:sent])
        handler.close_connection = True

    return answer


def refusing(status: int) -> Callable[[Any], None]:
    def answer(handler: Any) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def redirecting(to: str) -> Callable[[Any], None]:
    def answer(handler: Any) -> None:
        handler.send_response(302)
        handler.send_header("Location", to)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def hanging_up(handler: Any) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "new/file.pth"


def part_of(target: Path) -> Path:
    return target.with_name("file.pth.part")


def test_a_file_is_fetched_with_progress_and_not_fetched_again(target: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    with serving(well()) as server:
        fetch([server.url], target, DIGEST, lambda done, total: seen.append((done, total)), QUICK)
        fetch([server.url], target, DIGEST, patience=QUICK)
    assert target.read_bytes() == CONTENT
    assert not part_of(target).exists()
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert len(server.asked) == 1


def test_a_connection_that_breaks_off_twice_goes_on_where_it_stopped(target: Path) -> None:
    with serving(well(sent=100_000), well(sent=70_000), well()) as server:
        fetch([server.url], target, DIGEST, patience=QUICK)
    assert target.read_bytes() == CONTENT
    assert server.asked == [None, "bytes=100000-", "bytes=170000-"]


def test_what_has_arrived_is_kept_for_the_next_call(target: Path) -> None:
    with (
        serving(well(sent=100_000), hanging_up) as server,
        pytest.raises(CheckpointError, match=r"broke off 3 times in a row at 100,000 bytes"),
    ):
        fetch([server.url], target, DIGEST, patience=QUICK)
    assert part_of(target).read_bytes() == CONTENT[:100_000]
    assert not target.exists()
    with serving(well()) as server:
        fetch([server.url], target, DIGEST, patience=QUICK)
    assert server.asked == ["bytes=100000-"]
    assert target.read_bytes() == CONTENT


def test_a_server_that_ignores_ranges_sends_everything_again(target: Path) -> None:
    with serving(well(sent=100_000), well(ranges=False)) as server:
        fetch([server.url], target, DIGEST, patience=QUICK)
    assert server.asked == [None, "bytes=100000-"]
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("said", ["bytes 5-99/307200", "nonsense", "bytes 0-307199/307200"])
def test_a_part_that_does_not_follow_is_not_joined(target: Path, said: str) -> None:
    answers = (well(sent=100_000), well(content_range=said), well())
    with serving(*answers) as server:
        fetch([server.url], target, DIGEST, patience=QUICK)
    assert server.asked == [None, "bytes=100000-", None]
    assert target.read_bytes() == CONTENT


def test_a_complete_part_is_recognised(target: Path) -> None:
    target.parent.mkdir()
    part_of(target).write_bytes(CONTENT)
    with serving(well()) as server:
        fetch([server.url], target, DIGEST, patience=QUICK)
    assert server.asked == [f"bytes={len(CONTENT)}-"]
    assert target.read_bytes() == CONTENT


def test_a_part_of_another_file_is_fetched_anew_once(target: Path) -> None:
    target.parent.mkdir()
    for other in (b"x" * 5000, b"x" * (len(CONTENT) + 7)):
        target.unlink(missing_ok=True)
        part_of(target).write_bytes(other)
        with serving(well()) as server:
            fetch([server.url], target, DIGEST, patience=QUICK)
        assert server.asked == [f"bytes={len(other)}-", None]
        assert target.read_bytes() == CONTENT


def test_a_length_that_promises_too_much_breaks_off(target: Path) -> None:
    with serving(well(announced=len(CONTENT) + 1000)) as server:
        fetch([server.url], target, DIGEST, patience=QUICK)
    # The second request asks for what was promised and learns that there is no more.
    assert server.asked == [None, f"bytes={len(CONTENT)}-"]
    assert target.read_bytes() == CONTENT


def test_a_length_that_promises_too_little_is_found_out_by_the_digest(target: Path) -> None:
    with (
        serving(well(announced=1000)) as server,
        pytest.raises(CheckpointError, match="gave 1,000 bytes whose SHA-256 begins with"),
    ):
        fetch([server.url], target, DIGEST, patience=QUICK)
    assert not list(target.parent.iterdir())


def test_without_a_length_the_digest_decides(target: Path) -> None:
    with serving(well(length=False)) as server:
        fetch([server.url], target, DIGEST, patience=QUICK)
    assert target.read_bytes() == CONTENT
    target.unlink()
    with (
        serving(well(length=False, sent=9)) as server,
        pytest.raises(CheckpointError, match="gave 9 bytes"),
    ):
        fetch([server.url], target, DIGEST, patience=QUICK)


def test_wrong_bytes_are_deleted_and_named(target: Path) -> None:
    wrong = b"<html>not found, but politely</html>"
    with serving(well(wrong)) as server, pytest.raises(CheckpointError) as caught:
        fetch([server.url], target, DIGEST, patience=QUICK)
    said = str(caught.value)
    assert f"begins with {hashlib.sha256(wrong).hexdigest()[:8]}, not with {DIGEST}" in said
    assert "they were deleted" in said
    assert not list(target.parent.iterdir())


def test_wrong_bytes_at_the_target_are_replaced(target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(b"damaged")
    with serving(well()) as server:
        fetch([server.url], target, DIGEST, patience=QUICK)
    assert target.read_bytes() == CONTENT


def test_a_server_that_hangs_up_at_once_is_tried_a_few_times(target: Path) -> None:
    pauses: list[float] = []
    patience = Patience(timeout_s=5, attempts=4, pause=pauses.append)
    with (
        serving(hanging_up) as server,
        pytest.raises(CheckpointError, match=r"broke off 4 times in a row at 0 bytes"),
    ):
        fetch([server.url], target, DIGEST, patience=patience)
    assert len(server.asked) == 4
    assert pauses == [0.5, 1, 2]
    assert not list(target.parent.iterdir())


def test_a_server_in_trouble_is_tried_again(target: Path) -> None:
    with serving(refusing(500), refusing(503), well()) as server:
        fetch([server.url], target, DIGEST, patience=QUICK)
    assert target.read_bytes() == CONTENT
    with (
        serving(refusing(500)) as server,
        pytest.raises(CheckpointError, match="the server answered 500"),
    ):
        fetch([server.url], target.with_name("other"), DIGEST, patience=QUICK)


def test_a_silent_server_is_not_waited_for_without_end(target: Path) -> None:
    ended = threading.Event()
    with serving(lambda _: ended.wait(30) and None) as server:
        impatient = Patience(timeout_s=0.1, attempts=2, pause=lambda _: None)
        with pytest.raises(CheckpointError, match=r"broke off 2 times .*timed out"):
            fetch([server.url], target, DIGEST, patience=impatient)
        ended.set()


def test_a_missing_file_is_looked_for_at_the_next_address(target: Path) -> None:
    with serving(refusing(404)) as empty, serving(well()) as server:
        fetch([empty.url, server.url], target, DIGEST, patience=QUICK)
        assert target.read_bytes() == CONTENT
        with pytest.raises(CheckpointError, match=r"does not exist \(404\).*--from"):
            fetch([empty.url, empty.url], target.with_name("other"), DIGEST, patience=QUICK)
    assert len(empty.asked) == 3


def test_a_refusal_is_said_at_once(target: Path) -> None:
    with (
        serving(refusing(403)) as server,
        pytest.raises(CheckpointError, match="is refused: 403 Forbidden"),
    ):
        fetch([server.url], target, DIGEST, patience=QUICK)
    assert len(server.asked) == 1


def test_a_redirect_on_the_web_is_followed(target: Path) -> None:
    with serving(well()) as server, serving(redirecting(server.url)) as first:
        fetch([first.url], target, DIGEST, patience=QUICK)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("to", ["file:///etc/passwd", "ftp://example.org/x", "data:,x", "FILE:/x"])
def test_a_redirect_elsewhere_is_refused(target: Path, to: str) -> None:
    with (
        serving(redirecting(to)) as server,
        pytest.raises(CheckpointError, match=r"redirects to \w+:, which is not followed"),
    ):
        fetch([server.url], target, DIGEST, patience=QUICK)
    assert not list(target.parent.iterdir())


def test_a_redirect_in_a_circle_ends(target: Path) -> None:
    with (
        serving(redirecting("/file.pth")) as server,
        pytest.raises(CheckpointError, match="302"),
    ):
        fetch([server.url], target, DIGEST, patience=QUICK)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.org/x", "nowhere", ""])
def test_an_address_that_is_not_on_the_web_is_refused(target: Path, url: str) -> None:
    with pytest.raises(UsageError, match="not an address on the web"):
        fetch([url], target, DIGEST, patience=QUICK)


def test_offline_is_one_clear_line(target: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(CheckpointError) as caught:
        fetch([f"http://127.0.0.1:{port}/x"], target, DIGEST, patience=QUICK)
    assert str(caught.value) == (
        "127.0.0.1 cannot be reached (Connection refused). Are you offline? A file fetched "
        "elsewhere can be used with: twinserve models import FILE --name NAME"
    )
    assert not list(target.parent.iterdir())


def test_a_full_disk_is_named_and_what_has_arrived_is_kept(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _: usage)
    with (
        serving(well(sent=1000), well()) as server,
        pytest.raises(CheckpointError, match=r"cannot be written \(0 MB are needed, 0 MB"),
    ):
        fetch([server.url], target, DIGEST, patience=QUICK)


def test_a_disk_that_fills_up_on_the_way_is_named(target: Path) -> None:
    """``/dev/full`` takes no byte; the partial file is a link to it."""
    target.parent.mkdir()
    part_of(target).symlink_to("/dev/full")
    with serving(well()) as server, pytest.raises(CheckpointError, match="cannot be written"):
        fetch([server.url], target, DIGEST, patience=QUICK)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with serving(well()) as server, pytest.raises(CheckpointError, match="cannot be written"):
        fetch([server.url], tmp_path / "file/x", DIGEST, patience=QUICK)


def test_two_downloads_of_one_file_do_not_mix(target: Path) -> None:
    inside, go = threading.Event(), threading.Event()

    def slowly(handler: Any) -> None:
        inside.set()
        go.wait(30)
        well()(handler)

    with serving(slowly) as server:
        first = threading.Thread(target=fetch, args=([server.url], target, DIGEST))
        first.start()
        inside.wait(30)
        with pytest.raises(CheckpointError, match="is being written by another download"):
            fetch([server.url], target, DIGEST, patience=QUICK)
        go.set()
        first.join()
    assert target.read_bytes() == CONTENT


def test_a_flood_is_cut_off(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "LARGEST_BYTES", 100_000)
    with (
        serving(well(length=False)) as server,
        pytest.raises(CheckpointError, match="which no published model has"),
    ):
        fetch([server.url], target, DIGEST, patience=QUICK)
    assert not list(target.parent.iterdir())
