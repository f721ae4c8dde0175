"""Where Cloud Functions enters: the function is ``generate``, the models lie beside this file.

Written by ``twinserve build``.
"""

import os
from pathlib import Path

MODELS = ["@MODELS@"]  # the default one first

folder = Path(__file__).resolve().parent / "models"
# Seeded random weights have no folder: their name is enough.
first, *more = [str(folder / name) if (folder / name).exists() else name for name in MODELS]
os.environ.setdefault("TWINSERVE_MODEL", first)
os.environ.setdefault("TWINSERVE_MORE_MODELS", os.pathsep.join(more))

from twinserve.service.function import generate  # noqa: E402

__all__ = ["generate"]
