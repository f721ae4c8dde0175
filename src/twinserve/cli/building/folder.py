"""What both verbs of ``build`` share: the models they take, and the folder they write to."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from twinserve.errors import UsageError


def models_option(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--model",
        "models",
        multiple=True,
        metavar="NAME",
        help="Name or folder of a bundle to put in; again for more, the first is the default.  "
        "[default: the first one found]",
    )(function)


def emptied(folder: Path, sign: str) -> Path:
    """The folder, without what an earlier build left there; ``sign`` is a file that each one has.

    Raises:
        UsageError: it holds something else, or cannot be written.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / sign).exists():
        raise UsageError(f"{folder} holds something else than a build; name another with --out.")
    try:
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
    except OSError as error:
        raise UsageError(f"{folder} cannot be written ({error}); name another --out.") from error
    return folder
