"""``/openapi.json``: the HTTP contract in OpenAPI 3.1."""

from __future__ import annotations

from collections.abc import Sequence

from twinserve import __version__
from twinserve.bundle.latents import LARGEST_SEED
from twinserve.service.request import FORMATS, MOST_IMAGES


def openapi_document(models: Sequence[str]) -> dict[str, object]:
    """The contract as both deployments keep it, for a service of those models, the default
    first."""
    problem = {"description": "RFC 9457 problem", "content": {"application/problem+json": {}}}
    files = {f"image/{name}": {"schema": {"type": "string"}} for name in FORMATS}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Twinserve", "version": __version__},
        "paths": {
            "/generate": {
                "post": {
                    "summary": "Generate images; the same seed gives the same pixels.",
                    "requestBody": {
                        "content": {"application/json": {"schema": _request(models)}},
                    },
                    "responses": {
                        "200": {
                            "description": "Images as JSON, or as one file by the Accept header.",
                            "content": {"application/json": {"schema": _answer()}, **files},
                        },
                        "4XX": problem,
                    },
                }
            },
            **{
                path: {"get": {"summary": text, "responses": {"200": {"description": text}}}}
                for path, text in READABLE.items()
            },
        },
    }


TRUNCATION = "truncation: below 1, less variety and fewer broken faces; some models have none"

READABLE = {
    "/healthz": "The process lives.",
    "/readyz": "The model is loaded.",
    "/metrics": "Prometheus metrics.",
    "/models": "The models served, with their terms.",
    "/openapi.json": "This document.",
}


def _request(models: Sequence[str]) -> dict[str, object]:
    count = {"type": "integer", "minimum": 1, "maximum": MOST_IMAGES, "default": 1}
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "num_images": count,
            "seed": {"type": "integer", "minimum": 0, "maximum": LARGEST_SEED},
            "model": {"type": "string", "enum": list(models), "default": models[0]},
            "psi": {"type": "number", "minimum": 0, "maximum": 1, "description": TRUNCATION},
            "format": {"type": "string", "enum": FORMATS, "default": "png"},
            "layout": {"type": "string", "enum": ["grid", "list", "both"], "default": "both"},
        },
    }


def _answer() -> dict[str, object]:
    base64 = {"type": "string", "contentEncoding": "base64"}
    return {
        "type": "object",
        "properties": {
            "src": {**base64, "type": ["string", "null"], "description": "all on one sheet"},
            "images": {"type": "array", "items": base64},
            "format": {"type": "string", "enum": FORMATS},
            "time": {"type": "number", "description": "process time in ms"},
            "seed": {"type": "integer"},
            "model": {"type": "string"},
            "resolution": {"type": "integer", "description": "side of an image in pixels"},
        },
    }
