"""Every command that the documentation shows exists, with every option that it uses."""

import re
import shlex
from pathlib import Path

import click
import pytest

from twinserve.cli import twinserve

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "packages/faces").glob("*.md")),
]
COMMANDS = [
    pytest.param(line.removeprefix("$ twinserve "), id=f"{page.name}: {line}")
    for page in PAGES
    for line in page.read_text().splitlines()
    if line.startswith("$ twinserve ")
]
EXAMPLES = {"pictures.zip": "", "checkpoint.safetensors": "", "runs/eight-users/run.json": "{}"}
EXAMPLES |= {"container.csv": "", "function.csv": "", "runs/cloud/run.json": "{}"}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_shown_is_one_that_can_be_typed(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = shlex.split(command)
    for name, text in EXAMPLES.items():  # files that options must find
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for word in words:
        if word.endswith((".safetensors", ".pth", ".npy")):
            (tmp_path / word).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / word).write_text("")
    parsed(twinserve, words)


def test_an_option_that_does_not_exist_would_be_noticed() -> None:
    for words in (["compare", "--speed", "9"], ["models", "export", "--speed", "9"], ["fly"]):
        with pytest.raises(click.UsageError):
            parsed(twinserve, words)


def parsed(command: click.Command, words: list[str], parent: click.Context | None = None) -> None:
    """Parse as click would, down to the last verb, without running anything."""
    context = command.make_context(command.name or "twinserve", list(words), parent=parent)
    if isinstance(command, click.Group) and context._protected_args:
        rest = [*context._protected_args, *context.args]
        name, sub, arguments = command.resolve_command(context, rest)
        assert sub is not None, name
        parsed(sub, arguments, context)


def test_the_documentation_shows_each_verb() -> None:
    shown = {str(command.values[0]).split()[0] for command in COMMANDS}
    assert shown >= {"up", "compare", "report", "generate", "models", "train"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", page.read_text())
    missing = [link for link in links if not (page.parent / link).exists()]
    assert not missing
