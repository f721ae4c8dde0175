"""How long a gateway waits for those it talks to, beside the waits that a policy sets."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Patience:
    """Seconds: ``answer_s`` for an instance that sends nothing (Cloud Run's default request
    timeout), ``request_s`` for a client whose request does not come, ``taken_s`` for one that takes
    nothing of its answer."""

    answer_s: float = 300.0
    request_s: float = 60.0
    taken_s: float = 60.0
