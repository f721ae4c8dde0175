"""A group of verbs that imports each one when it is wanted."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

# Verbs whose file cannot have their name: a word of the language, a folder that git ignores.
FILES = {"import": "importing", "build": "building", "import-jtl": "import_jtl"}
FILES |= {"deploy": "deploying", "cloud-run": "cloud_run", "cloud-functions": "cloud_functions"}


class LazyGroup(click.Group):
    """Knows its verbs by name and one line of help; each verb's file in ``package`` has a
    ``command``."""

    def __init__(self, *args: Any, verbs: dict[str, str], package: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._verbs, self._package = verbs, package

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(self._verbs)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002
        if name not in self._verbs:
            return None
        module = import_module(f"{self._package}.{FILES.get(name, name)}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Verbs"):
            formatter.write_dl(list(self._verbs.items()))
