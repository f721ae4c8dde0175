"""The models that one service serves: the first is loaded at the start, any other on first use."""

from __future__ import annotations

import os
from collections.abc import Sequence

from twinserve.bundle.bundle import BundleFacts
from twinserve.bundle.engine import Arithmetic, Engine, ImageGenerator
from twinserve.bundle.store import bundle_facts, default_model, open_bundle
from twinserve.errors import UsageError


class ServedModels:
    """Models by name, each loaded once; not safe for threads, who uses it takes turns.

    ``references`` are names or folders of bundles; the first is the default and loaded at once.

    Raises:
        BundleError: one of them does not exist, or the first cannot be loaded.
    """

    def __init__(self, references: Sequence[str]) -> None:
        facts = [(bundle_facts(reference), reference) for reference in references]
        self._references = {found.name: reference for found, reference in facts}
        self.facts: tuple[BundleFacts, ...] = tuple(found for found, _ in facts)
        self._loaded: dict[str, ImageGenerator] = {}
        self.load(self.default)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._references)

    @property
    def default(self) -> str:
        return self.names[0]

    def is_loaded(self, name: str) -> bool:
        return name in self._loaded

    def load(self, name: str) -> ImageGenerator:
        """The model, compiled; the first call takes its time."""
        if name not in self._loaded:
            self._loaded[name] = Engine(open_bundle(self._references[name]), _arithmetic())
        return self._loaded[name]


def models_of_environment() -> ServedModels:
    """The models of ``$TWINSERVE_MODEL`` (the default one) and ``$TWINSERVE_MORE_MODELS`` (as a
    path list, ``:`` between)."""
    first = os.environ.get("TWINSERVE_MODEL") or default_model()
    more = os.environ.get("TWINSERVE_MORE_MODELS", "").split(os.pathsep)
    return ServedModels([first, *(name for name in more if name and name != first)])


def _arithmetic() -> Arithmetic:
    """That of ``$TWINSERVE_ARITHMETIC``; by default the fastest floating-point one."""
    text = os.environ.get("TWINSERVE_ARITHMETIC") or Arithmetic.AUTO.value
    try:
        return Arithmetic(text)
    except ValueError:
        allowed = ", ".join(Arithmetic)
        raise UsageError(f"TWINSERVE_ARITHMETIC is {text!r}; use one of {allowed}.") from None
