"""The way that all deploy verbs go: choose, fit, then show, write, send or delete."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import click

from twinserve.bundle.store import bundle_facts, default_model
from twinserve.cli.deploying.artefact import content_tag, function_source
from twinserve.cli.deploying.options import Choices
from twinserve.cli.options import needs
from twinserve.cli.progress import progress
from twinserve.cli.sides import known_deployments
from twinserve.cloud.fit import fitted
from twinserve.cloud.google_registry import image_name
from twinserve.cloud.journal import Journal
from twinserve.cloud.kubernetes_objects import THREADS
from twinserve.cloud.order import Order, check_order, check_place
from twinserve.cloud.target import Target
from twinserve.cloud.written import dry_run, files
from twinserve.deployment import Deployment, Kind, fair_defaults
from twinserve.deployment.file import FILE_NAME
from twinserve.errors import CloudError, UsageError
from twinserve.runtime.artefacts.function import FunctionSource
from twinserve.runtime.commands import image_command

EXTRA = "cloud"
IDLE_S = 900.0  # as `compare` keeps instances, and Cloud Run may
NEEDED = {
    True: ("google.cloud.run_v2", "google.cloud.functions_v2", "google.cloud.artifactregistry_v1"),
    False: ("kubernetes",),
}


def run(target: Target, choices: Choices) -> None:
    """Do what the verb of ``target`` was asked for."""
    with needs(EXTRA):
        import_module("yaml")
        if not choices.dry_run and not choices.out:
            for module in NEEDED[target.is_google]:
                import_module(module)
    if choices.delete:
        _delete(target, choices)
    else:
        _deploy(target, choices)


def _deploy(target: Target, choices: Choices) -> None:
    deployment, notes = _chosen(target, choices)
    check_place(_place(target, choices, deployment))
    _check_terms(deployment, choices)
    models = (deployment.model, *deployment.more_models)
    with ExitStack() as open_files:
        source = None
        if target is Target.CLOUD_FUNCTIONS:
            source = open_files.enter_context(function_source(models))
        order = _ordered(target, choices, deployment, source)
        check_order(order)
        for note in notes:
            click.echo(f"Note: {note}.", err=True)
        if choices.dry_run:
            click.echo(dry_run(order), nl=False)
        elif choices.out:
            _write(order, choices.out, source)
        else:
            from twinserve.cli.deploying.sending import send

            with _journal(order, choices) as journal:
                send(order, choices, source, journal)


def _delete(target: Target, choices: Choices) -> None:
    from twinserve.cli.deploying.sending import delete

    name = choices.deployment or target.kind.value
    order = _place(target, choices, Deployment(name, target.kind, ""))
    check_place(order)
    with _journal(order, choices) as journal:
        gone = delete(order, choices, journal)
    for words in gone:
        click.echo(f"Deleted: {words}")
    if not gone:
        click.echo(f"Nothing of {order.name} is there; nothing was deleted.")


def _chosen(target: Target, choices: Choices) -> tuple[Deployment, tuple[str, ...]]:
    """The deployment as the target can run it, and what there is to say of that."""
    model = choices.model or default_model()
    found = known_deployments(choices.config, fair_defaults(model, IDLE_S))
    name = choices.deployment or target.kind.value
    if name not in found.known:
        where = found.path or f"a {FILE_NAME}"
        raise UsageError(
            f"There is no deployment {name!r}; known are {', '.join(found.known)}. Describe others "
            f"in {where}."
        )
    deployment = found.known[name]
    if choices.model:
        deployment = replace(deployment, model=choices.model)
    fit = fitted(deployment, target)
    return fit.deployment, fit.notes


def _check_terms(deployment: Deployment, choices: Choices) -> None:
    """A model for non-commercial use goes nowhere by mistake; only showing it is free."""
    for model in (deployment.model, *deployment.more_models):
        facts = bundle_facts(model)
        click.echo(f"Model: {facts.name}. Terms: {facts.terms}.", err=True)
        if not facts.commercial_use and not choices.accept_terms and not choices.dry_run:
            raise UsageError(
                f"{facts.name} is for non-commercial use only ({facts.terms}); if this is such, "
                "say so with --accept-terms, else name another --model."
            )


def _place(target: Target, choices: Choices, deployment: Deployment) -> Order:
    return Order(
        target=target,
        name=choices.name or f"twinserve-{deployment.name}",
        deployment=deployment,
        project=choices.project,
        region=choices.region,
        namespace="" if target.is_google else _namespace(choices),
    )


def _namespace(choices: Choices) -> str:
    """As given, else that of the kubeconfig; to show or write no kubeconfig is needed."""
    if choices.namespace:
        return choices.namespace
    from twinserve.cli.deploying.sending import cluster_of

    try:
        return cluster_of(choices).namespace()
    except CloudError:
        if choices.dry_run or choices.out:
            return "default"
        raise


def _ordered(
    target: Target,
    choices: Choices,
    deployment: Deployment,
    source: tuple[FunctionSource, str] | None,
) -> Order:
    order = replace(
        _place(target, choices, deployment),
        service_account=choices.service_account,
        public=choices.public,
    )
    if source:
        return replace(order, runtime=choices.runtime, content=source[1])
    return replace(order, image=_image(order, choices), command=_command(target, deployment))


def _command(target: Target, deployment: Deployment) -> tuple[str, ...]:
    """What the image is told to run; nothing where it does so by itself."""
    words = tuple(image_command(deployment.kind))
    if deployment.kind is Kind.FUNCTION:
        return words
    fewer = deployment.concurrency < int(words[words.index(THREADS) + 1])
    return words if target is Target.KUBERNETES and fewer else ()


def _image(order: Order, choices: Choices) -> str:
    if choices.image:
        return choices.image
    if order.target is not Target.CLOUD_RUN and not choices.registry:
        raise UsageError(
            "Which image? Name one that is in a registry with --image, or say with --registry "
            "PREFIX (such as ghcr.io/me) where one is to be built for and pushed."
        )
    deployment = order.deployment
    tag = content_tag((deployment.model, *deployment.more_models))
    if order.target is Target.CLOUD_RUN:
        return f"{image_name(order)}:{tag}"
    return f"{choices.registry.rstrip('/')}/{order.name}:{tag}"


def _write(order: Order, folder: Path, source: tuple[FunctionSource, str] | None) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files(order).items():
            (folder / name).write_text(text)
            click.echo(f"Written: {folder / name}")
        if source:
            shutil.copyfile(source[0].zip, folder / source[0].zip.name)
            shutil.copytree(source[0].folder, folder / "source", dirs_exist_ok=True)
            click.echo(f"Written: {folder / 'source'}, {folder / source[0].zip.name}")
    except OSError as error:
        raise UsageError(f"{folder} cannot be written ({error}); name another --out.") from error
    if order.image and "@" not in order.image:
        click.echo(f"The image {order.image} must be in its registry first.", err=True)


@contextmanager
def _journal(order: Order, choices: Choices) -> Iterator[Journal]:
    with progress(f"{order.target.shown}", choices.within) as meter:

        def waited(words: str, waited_s: float, most_s: float) -> None:
            meter.update(min(waited_s, most_s * 0.999), f"{words}, {waited_s:.0f} s")

        yield Journal(
            say=lambda line: click.echo(line, err=True),
            waited=waited,
            again=shlex.join(["twinserve", *sys.argv[1:]]) + "   (what is there is kept)",
            undo=_undo(order, choices),
        )


def _undo(order: Order, choices: Choices) -> str:
    words = ["twinserve", "deploy", order.target.value, "--name", order.name]
    if order.target.is_google:
        words += ["--project", order.project, "--region", order.region]
    else:
        words += ["--namespace", order.namespace]
        words += ["--context", choices.context] if choices.context else []
    return shlex.join([*words, "--delete"])
