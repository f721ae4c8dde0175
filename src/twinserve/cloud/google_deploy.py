"""Make a service or function be as ordered, and take it away again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from twinserve.cloud.existing import differences, format_differences
from twinserve.cloud.google_access import set_access
from twinserve.cloud.google_api import GoogleApi
from twinserve.cloud.google_errors import Clash
from twinserve.cloud.google_registry import Registry
from twinserve.cloud.google_things import Thing
from twinserve.cloud.journal import Journal
from twinserve.cloud.marks import GOOGLE_SENT, is_ours
from twinserve.cloud.order import Order
from twinserve.cloud.patience import Patience
from twinserve.cloud.target import Target
from twinserve.errors import CloudError


class Change(StrEnum):
    """What a deploy did to the thing."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"


@dataclass(frozen=True)
class Deployed:
    """What was done, and where the thing answers."""

    change: Change
    url: str


def deploy_google(
    order: Order,
    api: GoogleApi,
    thing: Thing,
    body: Mapping[str, Any],
    prepared: Callable[[], Mapping[str, Any]],
    journal: Journal,
) -> Deployed:
    """Make the thing be as ``body`` says, and be called by whom the order says.

    ``prepared`` is called only if something must be sent: it pushes the image or uploads the
    source, and returns the body to send.

    Raises:
        CloudError: a step failed; the message says what exists by then.
    """
    with journal.step(f"Deploying the {thing.word} {order.name}"):
        change, found = _converged(thing, order, body, prepared, journal, api.patience)
    service, url = _service_and_url(order, found)
    with journal.step(f"Setting who may call {order.name}"):
        if set_access(api, service, order.public):
            journal.say(f"It is {'public' if order.public else 'private'} now.")
            change = Change.UPDATED if change is Change.UNCHANGED else change
    return Deployed(change, url)


def delete_google(order: Order, api: GoogleApi, thing: Thing, journal: Journal) -> list[str]:
    """Delete the thing and, for Cloud Run, its images; returns what is gone, in words.

    Raises:
        CloudError: it was not made by Twinserve, or a step failed.
    """
    gone: list[str] = []
    with journal.step(f"Deleting the {thing.word} {order.name}"):
        found = thing.find()
        if found is not None:
            _check_ours(thing, order, found)
            thing.delete(journal.waited)
            gone.append(f"the {thing.word} {thing.name}")
    if order.target is Target.CLOUD_RUN:
        with journal.step("Deleting its images"):
            gone += Registry(api, order).remove(journal.waited)
    return gone


def _converged(
    thing: Thing,
    order: Order,
    body: Mapping[str, Any],
    prepared: Callable[[], Mapping[str, Any]],
    journal: Journal,
    patience: Patience,
) -> tuple[Change, Mapping[str, Any]]:
    there: Mapping[str, Any] | None = thing.find()
    if there is None:
        _sent(thing, thing.create, prepared(), journal, patience)
        return Change.CREATED, _serving(thing, journal, Change.CREATED)
    _check_ours(thing, order, there)
    if _is_busy(there):
        journal.say(f"An earlier change of the {thing.word} goes on; waiting for its end.")
        there = _settled(thing, journal, patience)
    paths = list(differences(body, there))
    if not paths and not thing.fault(there):
        return Change.UNCHANGED, there
    journal.say(
        f"The {thing.word} is there and differs: {format_differences(paths) or 'it fails'}."
    )
    journal.made.append(f"the {thing.word} {thing.name} of an earlier deploy")
    etag = {"etag": there["etag"]} if there.get("etag") else {}
    _sent(thing, thing.update, dict(prepared()) | etag, journal, patience)
    return Change.UPDATED, _serving(thing, journal, Change.UPDATED)


def _sent(
    thing: Thing,
    send: Callable[[Mapping[str, Any], Callable[[str, float, float], None]], None],
    body: Mapping[str, Any],
    journal: Journal,
    patience: Patience,
) -> None:
    """Send it. If the answer to a first try was lost, the repeat finds the thing there already."""
    try:
        send(body, journal.waited)
    except Clash:
        found = thing.find()
        labels = (found or {}).get("labels", {})
        if labels.get(GOOGLE_SENT) != body["labels"][GOOGLE_SENT]:
            raise
        journal.say(f"The {thing.word} had been sent already; waiting for it.")
        _settled(thing, journal, patience)
    except CloudError:
        with suppress(CloudError):  # whatever broke may be broken still
            if not journal.made_now(thing.name) and thing.find() is not None:
                journal.exists(f"the {thing.word} {thing.name}, which does not serve this change")
        raise


def _serving(thing: Thing, journal: Journal, change: Change) -> Mapping[str, Any]:
    found = thing.find()
    if found is None:
        raise CloudError(f"The {thing.word} {thing.name} is gone again; somebody deleted it.")
    journal.exists(f"the {thing.word} {thing.name} ({change.value})")
    if fault := thing.fault(found):
        raise CloudError(f"The platform says that it does not serve: {fault}")
    return found


def _settled(thing: Thing, journal: Journal, patience: Patience) -> Mapping[str, Any]:
    for waited_s in patience.looks():
        found = thing.find()
        if found is None or not _is_busy(found):
            return found or {}
        journal.waited(f"wait for the {thing.word}", waited_s, patience.ready_s)
    raise CloudError(f"The {thing.word} was still being changed after {patience.ready_s:g} s.")


def _is_busy(found: Mapping[str, Any]) -> bool:
    return bool(found.get("reconciling")) or found.get("state") in ("DEPLOYING", "DELETING")


def _check_ours(thing: Thing, order: Order, found: Mapping[str, Any]) -> None:
    if not is_ours(found.get("labels"), order.target):
        raise CloudError(
            f"There is a {thing.word} {order.name} that `twinserve deploy {order.target.value}` "
            "did not make, so it is left alone; choose another --name."
        )


def _service_and_url(order: Order, found: Mapping[str, Any]) -> tuple[str, str]:
    """The Cloud Run service below, and its address."""
    if order.target is Target.CLOUD_FUNCTIONS:
        service = found["serviceConfig"]
        return str(service["service"]), str(service.get("uri") or found.get("url", ""))
    return str(found["name"]), str(found["uri"])
