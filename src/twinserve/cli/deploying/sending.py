"""The calls of a deploy and a delete, wired: artefact, platform, verification."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

from twinserve.cli.deploying.artefact import build_and_push, check_engine
from twinserve.cli.deploying.options import Choices
from twinserve.cloud.asking import Ask, ask_url, identity_token
from twinserve.cloud.cloud_functions import function_body
from twinserve.cloud.cloud_run import service_body
from twinserve.cloud.cluster import Cluster
from twinserve.cloud.cluster_deploy import delete_cluster, deploy_cluster
from twinserve.cloud.google_api import GoogleApi
from twinserve.cloud.google_deploy import delete_google, deploy_google
from twinserve.cloud.google_registry import Registry
from twinserve.cloud.google_things import Function, RunService
from twinserve.cloud.journal import Journal
from twinserve.cloud.order import Order
from twinserve.cloud.patience import Patience
from twinserve.cloud.push import GOOGLE_RUNS
from twinserve.cloud.target import Target
from twinserve.cloud.upload import upload
from twinserve.cloud.verify import verify
from twinserve.load.equality import LEAST_PSNR_DB, REQUESTS
from twinserve.runtime.artefacts.function import FunctionSource

TOKEN_USER = "oauth2accesstoken"  # noqa: S105 - a user's name, as Artifact Registry wants it
Source = tuple[FunctionSource, str] | None


def send(order: Order, choices: Choices, source: Source, journal: Journal) -> None:
    """Make it be there, and say what was done, where it answers, and what was verified."""
    ask: Ask | None
    if order.target.is_google:
        ask = _send_google(order, choices, source, journal)
    else:
        ask = _send_cluster(order, choices, journal)
    if ask is not None and choices.verify:
        with journal.step(f"Verifying {order.name}"):
            model, patience = order.deployment.model, _patience(choices)
            found = verify(ask, model, REQUESTS, LEAST_PSNR_DB, patience, journal.waited)
        click.echo(f"Verified: {found}.")
    click.echo(f"To remove it: {journal.undo}", err=True)


def delete(order: Order, choices: Choices, journal: Journal) -> list[str]:
    """Remove what was made for the order's name; returns it in words."""
    if not order.target.is_google:
        return delete_cluster(order, cluster_of(choices), journal)
    api = GoogleApi(_patience(choices))
    return delete_google(order, api, _thing(order, api), journal)


def cluster_of(choices: Choices) -> Cluster:
    return Cluster(choices.context, _patience(choices))


def _send_google(order: Order, choices: Choices, source: Source, journal: Journal) -> Ask:
    api = GoogleApi(_patience(choices))
    thing = _thing(order, api)
    if isinstance(thing, Function):
        body = function_body(order)
        prepared = _uploading(thing, order, source, api.patience)
    else:
        body = service_body(order)
        prepared = _pushing(order, choices, api, journal)
    done = deploy_google(order, api, thing, body, prepared, journal)
    click.echo(f"{thing.word.capitalize()} {order.name}: {done.change.value}")
    click.echo(f"URL: {done.url}")
    return ask_url(done.url, None if order.public else identity_token(done.url))


def _send_cluster(order: Order, choices: Choices, journal: Journal) -> Ask | None:
    def prepared() -> None:
        if not choices.image:
            build_and_push(order.deployment, order.image, lambda: None, "", journal)

    cluster = cluster_of(choices)
    done = deploy_cluster(order, cluster, prepared, journal)
    said = f"{done.changed} object(s) changed" if done.changed else "unchanged"
    click.echo(f"{order.target.shown} {order.name}: {said}")
    if done.url:
        click.echo(f"URL: {done.url}")
    if order.target is Target.KUBERNETES:
        return ask_url(done.url) if done.url else cluster.through(order.name, order.namespace)
    if order.public or choices.gateway:
        return ask_url(done.url, gateway=choices.gateway)
    click.echo(
        "Not verified: that address answers inside the cluster only; --gateway URL says where the "
        "cluster's internal ingress is reached from here (docs/deploy-knative.md).",
        err=True,
    )
    return None


def _thing(order: Order, api: GoogleApi) -> RunService | Function:
    return RunService(api, order) if order.target is Target.CLOUD_RUN else Function(api, order)


def _uploading(
    thing: Function, order: Order, source: Source, patience: Patience
) -> Callable[[], Mapping[str, Any]]:
    def prepared() -> Mapping[str, Any]:
        assert source is not None  # noqa: S101 - made before, for functions
        url, place = thing.upload_place()
        click.echo(f"Uploading the source, {source[0].zipped_bytes / 1e6:.1f} MB.", err=True)
        upload(url, source[0].zip, patience)
        click.echo("Google builds it now; that takes some minutes.", err=True)
        return function_body(order, place)

    return prepared


def _pushing(
    order: Order, choices: Choices, api: GoogleApi, journal: Journal
) -> Callable[[], Mapping[str, Any]]:
    def prepared() -> Mapping[str, Any]:
        if not choices.image:
            _push_to_google(order, Registry(api, order), api, journal)
        return service_body(order)

    return prepared


def _push_to_google(order: Order, registry: Registry, api: GoogleApi, journal: Journal) -> None:
    with journal.step("Looking for the image"):
        if registry.has(order.image.rpartition(":")[2]):
            journal.say(f"The image {order.image} is there already.")
            return
        check_engine(order.image)
        if registry.ensure(journal.waited):
            journal.exists(f"the repository {registry.name} (created)")
    login = lambda: (TOKEN_USER, api.access_token())  # noqa: E731
    build_and_push(order.deployment, order.image, login, GOOGLE_RUNS, journal)


def _patience(choices: Choices) -> Patience:
    return Patience(ready_s=choices.within)
