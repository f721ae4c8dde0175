"""What is asked for: one deployment, the place it goes to, and what only that place needs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from twinserve.cloud.target import Target
from twinserve.deployment import HIDDEN, Deployment
from twinserve.errors import UsageError

NAME = re.compile(r"[a-z]([a-z0-9-]{0,47}[a-z0-9])?")
PROJECT = re.compile(r"([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]")
REGION = re.compile(r"[a-z]+(-[a-z]+)+[0-9]{1,2}")
NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
IMAGE = re.compile(r"[a-zA-Z0-9][\w.:-]*(/[\w.-]+)+(:[\w.-]{1,128})?(@sha256:[0-9a-f]{64})?")
ACCOUNT = re.compile(r"[^\s@]+@[^\s@]+\.[a-z]+")

PORT = 8080
TIMEOUT_S = 300  # of a request; Cloud Run's own default, and sent to every target


@dataclass(frozen=True)
class Order:
    """What one ``twinserve deploy`` wants to be there in the end.

    ``deployment`` has passed :func:`twinserve.cloud.fit.fitted`. ``image`` is its reference in a
    registry, ``command`` what the image runs (empty: what it runs by itself). ``runtime`` and
    ``content`` are of a function's source: the buildpack's name, and the SHA-256 of its zip.
    """

    target: Target
    name: str
    deployment: Deployment
    project: str = ""
    region: str = ""
    namespace: str = ""
    image: str = ""
    command: tuple[str, ...] = ()
    runtime: str = ""
    content: str = ""
    service_account: str = ""
    public: bool = False

    def with_environment(self, environment: Mapping[str, str]) -> Order:
        """The same with other values of the deployment's variables."""
        return replace(self, deployment=replace(self.deployment, environment=dict(environment)))

    def without_values(self) -> Order:
        """The same to be shown or written: a variable's value may be a secret."""
        return self.with_environment(dict.fromkeys(self.deployment.environment, HIDDEN))


def check_order(order: Order) -> None:
    """Returns if every text of the order is one that its target takes.

    Raises:
        UsageError: one is not; it names option, value and what is allowed.
    """
    check_place(order)
    if order.target is not Target.CLOUD_FUNCTIONS:
        allowed = "an image in a registry, such as ghcr.io/me/faces:1"
        _check(IMAGE, "--image", order.image, allowed)
    if order.service_account:
        allowed = "an account such as NAME@PROJECT.iam.gserviceaccount.com"
        if not order.target.is_google:
            allowed = "the name of a service account in the namespace"
        account = ACCOUNT if order.target.is_google else NAMESPACE
        _check(account, "--service-account", order.service_account, allowed)


def check_place(order: Order) -> None:
    """Returns if name and place are such as the target takes; enough to delete.

    Raises:
        UsageError: as for :func:`check_order`.
    """
    _check(NAME, "--name", order.name, "1 to 49 small letters, digits and hyphens, a letter first")
    if order.target.is_google:
        _check(PROJECT, "--project", order.project, "the id of a project, such as my-project-1")
        _check(REGION, "--region", order.region, "a region such as us-central1")
    else:
        _check(NAMESPACE, "--namespace", order.namespace, "a namespace such as default")


def _check(pattern: re.Pattern[str], option: str, value: str, allowed: str) -> None:
    if not pattern.fullmatch(value):
        shown = repr(value) if value else "missing"
        raise UsageError(f"{option} is {shown}; allowed is {allowed}.")
