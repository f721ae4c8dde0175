"""The body of ``POST /generate``: what may stand in it, and what is wrong with one that may not."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from twinserve.bundle.images import ImageFormat
from twinserve.bundle.latents import LARGEST_SEED
from twinserve.errors import InvalidField, RequestError, UnsupportedMedia

LARGEST_BODY = 64 * 1024  # bytes
MOST_IMAGES = 64
FORMATS = [image_format.value for image_format in ImageFormat]


class Layout(StrEnum):
    """What a JSON answer carries: one sheet in ``src``, each image in ``images``, or (unasked)
    both."""

    GRID = "grid"
    LIST = "list"
    BOTH = "both"


@dataclass(frozen=True)
class GenerateRequest:
    """A valid request; ``as_file`` asks for the sheet's bytes instead of JSON."""

    num_images: int
    seed: int
    model: str
    psi: float | None
    image_format: ImageFormat
    layout: Layout
    as_file: bool


def parse_request(
    body: bytes, content_type: str, accept: str, models: tuple[str, ...]
) -> GenerateRequest:
    """Read and check a body; an empty one asks for one image of a random seed.

    Raises:
        UnsupportedMedia: the body is not declared as JSON.
        RequestError: it is not JSON, or not an object.
        InvalidField: a field is unknown or has a value that is not allowed.
    """
    fields = _object(body, content_type)
    for name in fields.keys() - FIELDS:
        raise InvalidField(name, fields[name], f"one of the fields {', '.join(sorted(FIELDS))}")
    wanted = _accepted_format(accept)
    image_format = _image_format(fields.get("format"), wanted)
    layout = Layout(_one_of("layout", fields.get("layout", "both"), ("grid", "list", "both")))
    if wanted and layout is Layout.LIST:
        raise InvalidField(
            "layout", "list", "grid where an image is accepted; ask for JSON instead"
        )
    return GenerateRequest(
        num_images=_integer("num_images", fields.get("num_images", 1), 1, MOST_IMAGES),
        seed=_integer("seed", fields.get("seed", secrets.randbits(32)), 0, LARGEST_SEED),
        model=_one_of("model", fields.get("model", models[0]), models),
        psi=_share("psi", fields.get("psi")),
        image_format=image_format,
        layout=layout,
        as_file=bool(wanted),
    )


FIELDS = {"num_images", "seed", "model", "psi", "format", "layout"}


def _object(body: bytes, content_type: str) -> dict[str, object]:
    if not body.strip():
        return {}
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type not in ("", "application/json"):
        raise UnsupportedMedia(media_type)
    try:
        fields = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise RequestError(f"The body is not JSON: {error}.") from error
    if not isinstance(fields, dict):
        raise RequestError(
            f"The body is a JSON {type(fields).__name__}; send an object such as "
            '{"num_images": 1, "seed": 7}.'
        )
    return fields


def _integer(name: str, value: object, lowest: int, highest: int) -> int:
    allowed = f"a whole number from {lowest} to {highest}"
    if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
        raise InvalidField(name, value, allowed)
    return value


def _share(name: str, value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise InvalidField(name, value, "a number from 0 to 1")
    return float(value)


def _one_of(name: str, value: object, allowed: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in allowed:
        raise InvalidField(name, value, " or ".join(allowed))
    return value


def _accepted_format(accept: str) -> str | None:
    """The image format that the Accept header puts first; None where JSON comes first."""
    for part in accept.split(","):
        media_type = part.partition(";")[0].strip().lower()
        if media_type in ("application/json", "*/*", "application/*"):
            return None
        if media_type == "image/*":
            return "any"
        if media_type.startswith("image/") and media_type.removeprefix("image/") in FORMATS:
            return media_type.removeprefix("image/")
    return None


def _image_format(value: object, accepted: str | None) -> ImageFormat:
    free = accepted in (None, "any")
    if value is None:
        return ImageFormat.PNG if free else ImageFormat(str(accepted))
    allowed = tuple(FORMATS) if free else (str(accepted),)
    return ImageFormat(_one_of("format", value, allowed))
