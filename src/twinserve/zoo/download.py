"""Fetch a file over an unreliable connection and prove that it is the one that was meant.

What has arrived is kept beside the target as ``NAME.part``; a broken connection is taken up again
where it broke (RFC 9110, section 14: range requests). Only http and https are ever followed, and
never from https down to http: the few digits of the SHA-256 that the publisher gives guard against
damage, and the encrypted connection against malice.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import http.client
import re
import shutil
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

from twinserve.errors import CheckpointError, UsageError

CHUNK_BYTES = 1 << 16
LARGEST_BYTES = 4 << 30  # what is larger is none of the published files
FIRST_PAUSE_S = 0.5
BROKEN = (http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError)
PARTIAL, RANGE_REFUSED, NOT_FOUND = 206, 416, 404

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True)
class Patience:
    """How long to wait for a silent server, and how often to try again without any progress."""

    timeout_s: float = 30.0
    attempts: int = 4
    pause: Callable[[float], None] = time.sleep


def fetch(
    urls: Sequence[str],
    target: Path,
    sha256: str,
    progress: Progress = lambda _done, _total: None,
    patience: Patience | None = None,
) -> Path:
    """Download the file that lies at one of ``urls`` to ``target``, unless it is there already.

    ``sha256`` is the beginning of its SHA-256 in hexadecimal; ``progress`` is told the bytes that
    have arrived and those that there will be, if the server says.

    Raises:
        UsageError: an address is neither http nor https.
        CheckpointError: the network or the server cannot be reached, breaks off again and again,
            has no such file or other bytes (which are deleted), or the disk is full.
    """
    for url in urls:
        if urlsplit(url).scheme not in ("http", "https"):
            raise UsageError(f"{url} is not an address on the web; use one of http or https.")
    if target.is_file() and _digest(target).startswith(sha256):
        return target
    part = target.with_name(f"{target.name}.part")
    with _writing(part), _alone(part) as file:
        for last, url in _with_last(urls):
            try:
                _Download(url, file, progress, patience or Patience()).run(sha256)
                break
            except _NotFoundError:
                if last:
                    raise
        file.flush()
        part.replace(target)
    return target


class _NotFoundError(CheckpointError):
    pass


class _BrokenError(Exception):
    """The connection broke; what has arrived is kept."""


class _Download:
    """One address into one open file, in as many connections as it takes."""

    def __init__(self, url: str, file: BinaryIO, progress: Progress, patience: Patience) -> None:
        self._url, self._file, self._progress = url, file, progress
        self._patience = patience
        self._opener = _opener()

    def run(self, sha256: str) -> None:
        started_before = self._have() > 0
        self._collect()
        found = _digest_of(self._file)
        if not found.startswith(sha256) and started_before:
            # An earlier call may have left bytes of another file: once more, from nothing.
            self._file.truncate(0)
            self._collect()
            found = _digest_of(self._file)
        if not found.startswith(sha256):
            length = self._have()
            self._file.truncate(0)
            raise CheckpointError(
                f"{self._url} gave {length:,} bytes whose SHA-256 begins with {found[:8]}, not "
                f"with {sha256}; they were deleted. Try again, or another --from."
            )

    def _have(self) -> int:
        return self._file.seek(0, 2)

    def _collect(self) -> None:
        """Connect until everything has arrived."""
        failures = 0
        while True:
            before = self._have()
            try:
                return self._connect()
            except _BrokenError as error:
                failures = 1 if self._have() > before else failures + 1
                if failures >= self._patience.attempts:
                    raise CheckpointError(
                        f"{self._url} broke off {failures} times in a row at "
                        f"{self._have():,} bytes ({error}). What has arrived is kept; try again."
                    ) from error
                self._patience.pause(FIRST_PAUSE_S * 2 ** (failures - 1))

    def _connect(self) -> None:
        have = self._have()
        headers = {"Accept-Encoding": "identity", "User-Agent": "twinserve"}
        if have:
            headers["Range"] = f"bytes={have}-"
        request = urllib.request.Request(self._url, headers=headers)  # noqa: S310
        try:
            with self._opener.open(request, timeout=self._patience.timeout_s) as response:
                self._receive(response, have)
        except urllib.error.HTTPError as error:
            with error:
                self._refused(error, have)
        except urllib.error.URLError as error:
            self._unreachable(error.reason)
        except BROKEN as error:
            raise _BrokenError(str(error) or type(error).__name__) from error

    def _receive(self, response: Any, have: int) -> None:
        total = _length(response)
        if response.status == PARTIAL:
            first, total = _content_range(response)
            if first != have:
                self._file.truncate(0)
                raise _BrokenError(f"the server sent bytes from {first}, asked for {have}")
        elif have:
            self._file.truncate(0)  # the server ignores ranges: from the start
        self._file.seek(0, 2)
        self._check_room(total)
        for chunk in _chunks(response):
            self._file.write(chunk)
            if self._file.tell() > LARGEST_BYTES:
                self._file.truncate(0)
                raise CheckpointError(
                    f"{self._url} sends more than {LARGEST_BYTES >> 30} GiB, which no published "
                    f"model has."
                )
            self._progress(self._file.tell(), total)
        if total is not None and self._file.tell() < total:
            raise _BrokenError(f"{self._file.tell():,} of {total:,} bytes")
        if total is not None and self._file.tell() > total:
            self._file.truncate(0)
            raise _BrokenError("more bytes than the server announced")

    def _check_room(self, total: int | None) -> None:
        missing = (total or 0) - self._file.tell()
        free = shutil.disk_usage(Path(self._file.name).parent).free
        if missing > free:
            raise OSError(errno.ENOSPC, f"{missing >> 20:,} MB are needed, {free >> 20:,} MB free")

    def _refused(self, error: urllib.error.HTTPError, have: int) -> None:
        """What the server answered instead of the file."""
        if error.code == RANGE_REFUSED and have:
            if error.headers.get("Content-Range", "").strip() == f"bytes */{have}":
                return  # everything had arrived already
            self._file.truncate(0)
            raise _BrokenError("the server refuses to go on from there")
        if error.code == NOT_FOUND:
            raise _NotFoundError(
                f"{self._url} does not exist (404); the publisher may have moved it. Name a mirror "
                f"with --from."
            )
        if error.code >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
            raise _BrokenError(f"the server answered {error.code} {error.reason}")
        raise CheckpointError(f"{self._url} is refused: {error.code} {error.reason}.")

    def _unreachable(self, reason: object) -> None:
        if isinstance(reason, ConnectionResetError | TimeoutError):
            raise _BrokenError(str(reason) or type(reason).__name__)
        said = getattr(reason, "strerror", None) or str(reason)
        raise CheckpointError(
            f"{urlsplit(self._url).hostname} cannot be reached ({said}). Are you offline? A file "
            f"fetched elsewhere can be used with: twinserve models import FILE --name NAME"
        )


def _opener() -> urllib.request.OpenerDirector:
    """What opens http and https, through the proxy of the environment, and nothing else: the usual
    opener knows files and FTP as well, and a redirect could lead there."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    return opener


class _Redirects(urllib.request.HTTPRedirectHandler):
    def http_error_302(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any
    ) -> Any:
        to = urlsplit(headers.get("Location") or headers.get("URI") or "")
        if (to.scheme or req.type) not in {"https", req.type}:
            fp.close()
            raise CheckpointError(
                f"{req.full_url} redirects to {to.scheme}:, which is not followed."
            )
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def _chunks(response: Any) -> Iterator[bytes]:
    while True:
        try:
            chunk = response.read(CHUNK_BYTES)
        except http.client.IncompleteRead as error:
            yield error.partial
            raise
        if not chunk:
            return
        yield chunk


def _length(response: Any) -> int | None:
    text = response.headers.get("Content-Length", "").strip()
    return int(text) if text.isdecimal() else None


def _content_range(response: Any) -> tuple[int, int | None]:
    """First byte and total length of a partial answer."""
    text = response.headers.get("Content-Range", "")
    found = re.fullmatch(r"\s*bytes (\d+)-\d+/(\d+|\*)\s*", text)
    if not found:
        return -1, None
    return int(found[1]), None if found[2] == "*" else int(found[2])


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return _digest_of(cast("BinaryIO", file))


def _digest_of(file: BinaryIO) -> str:
    file.flush()
    file.seek(0)
    digest = hashlib.sha256()
    while chunk := file.read(CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest()


def _with_last(urls: Sequence[str]) -> Iterator[tuple[bool, str]]:
    for place, url in enumerate(urls, 1):
        yield place == len(urls), url


@contextmanager
def _alone(part: Path) -> Iterator[BinaryIO]:
    """The partial file, open for this process alone."""
    part.parent.mkdir(parents=True, exist_ok=True)
    with cast("BinaryIO", part.open("a+b")) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CheckpointError(f"{part} is being written by another download; wait.") from None
        try:
            yield file
        finally:
            if part.exists() and not part.stat().st_size:
                part.unlink()


@contextmanager
def _writing(part: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CheckpointError(
            f"{part} cannot be written ({error.strerror}). Make room; what has arrived is kept."
        ) from error
