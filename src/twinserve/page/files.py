"""The page's static files, read once from the package."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

MEDIA_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True)
class PageFile:
    """A file as it goes to the browser."""

    data: bytes
    media_type: str


def page_files() -> dict[str, PageFile]:
    """URL path to file: ``/`` is the page itself, everything else lies under ``/static/``."""
    found = {}
    for entry in files(__package__).joinpath("static").iterdir():
        suffix = entry.name[entry.name.rfind(".") :]
        if suffix in MEDIA_TYPES:
            path = "/" if entry.name == "page.html" else f"/static/{entry.name}"
            found[path] = PageFile(entry.read_bytes(), MEDIA_TYPES[suffix])
    return found
