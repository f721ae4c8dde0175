from __future__ import annotations

import numpy as np

from twinserve.bundle.engine import Engine
from twinserve.bundle.store import open_bundle
from twinserve.training.made import Maker


def test_pictures_are_those_that_the_deployments_make_whatever_the_threads() -> None:
    bundle = open_bundle("random-16")
    engine = Engine(bundle)
    expected = np.stack([engine.image(5, k).transpose(2, 0, 1) for k in range(3, 8)])
    for threads in (1, 2, 7):
        found = Maker(bundle, 5, threads).pictures(range(3, 8))
        assert np.abs(found.astype(int) - expected).max() <= 1


def test_nothing_is_truncated_even_if_the_bundle_says_so() -> None:
    import msgspec

    bundle = open_bundle("random-16")
    facts = msgspec.structs.replace(bundle.facts, truncation=0.5)
    truncating = type(bundle)(facts, bundle.graph)
    few = range(4)
    plain, found = Maker(bundle, 0, 1).pictures(few), Maker(truncating, 0, 1).pictures(few)
    assert np.array_equal(plain, found)
    assert not np.array_equal(Engine(truncating).image(0, 0).transpose(2, 0, 1), plain[0])
