"""What marks a thing as ours, and as the very one that would be sent again. Pure."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from twinserve.cloud.order import Order

OURS = "twinserve"
# Google's labels allow no dots and slashes, so both worlds have names of their own.
GOOGLE_MANAGED, GOOGLE_TARGET, GOOGLE_SENT = "managed-by", "twinserve-target", "twinserve-sent"
KUBE_NAME, KUBE_MANAGED = "app.kubernetes.io/name", "app.kubernetes.io/managed-by"
KUBE_TARGET, KUBE_SENT = "twinserve.target", "twinserve.sent"
DIGITS = 32


def google_labels(order: Order) -> dict[str, str]:
    return {GOOGLE_MANAGED: OURS, GOOGLE_TARGET: order.target.value}


def kube_labels(order: Order) -> dict[str, str]:
    return {
        KUBE_NAME: order.name,
        KUBE_MANAGED: OURS,
        KUBE_TARGET: order.target.value,
    }


def with_google_mark(body: dict[str, Any], shown: dict[str, Any]) -> dict[str, Any]:
    """``body`` with a label that says what was sent: the digest of ``shown``, which is the same
    without secrets."""
    return body | {"labels": body["labels"] | {GOOGLE_SENT: digest(shown)}}


def with_kube_mark(manifest: dict[str, Any], shown: dict[str, Any]) -> dict[str, Any]:
    """The same for a manifest, whose digest is an annotation."""
    marked = copy.deepcopy(manifest)
    marked["metadata"].setdefault("annotations", {})[KUBE_SENT] = digest(shown)
    return marked


def digest(body: Mapping[str, Any]) -> str:
    """The same for equal contents, whatever the order of keys."""
    text = json.dumps(body, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


def is_ours(labels: Mapping[str, str] | None, target: str) -> bool:
    """Whether Twinserve made the thing with these labels, for that target."""
    found = labels or {}
    google = found.get(GOOGLE_MANAGED) == OURS and found.get(GOOGLE_TARGET) == target
    return google or (found.get(KUBE_MANAGED) == OURS and found.get(KUBE_TARGET) == target)
