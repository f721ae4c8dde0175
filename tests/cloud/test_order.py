"""Texts that a target does not take are refused before anything is sent."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from twinserve.cloud.order import Order, check_order
from twinserve.cloud.target import Target
from twinserve.deployment import HIDDEN
from twinserve.errors import UsageError

MakeOrder = Callable[..., Order]

WRONG = [
    (Target.CLOUD_RUN, {"name": "Faces"}, "--name is 'Faces'; allowed is 1 to 49"),
    (Target.CLOUD_RUN, {"name": "a" * 50}, "--name"),
    (Target.CLOUD_RUN, {"name": "1st"}, "a letter first"),
    (Target.CLOUD_RUN, {"project": ""}, "--project is missing; allowed is the id"),
    (Target.CLOUD_FUNCTIONS, {"project": "My Project"}, "--project"),
    (Target.CLOUD_FUNCTIONS, {"region": "us central"}, "--region is 'us central'"),
    (Target.CLOUD_RUN, {"image": "faces:1"}, "--image is 'faces:1'; allowed is an image in"),
    (Target.CLOUD_RUN, {"service_account": "me"}, "--service-account"),
    (Target.KNATIVE, {"namespace": "My_NS"}, "--namespace"),
    (Target.KUBERNETES, {"image": "ghcr.io/me/faces:1; rm"}, "--image"),
    (Target.KUBERNETES, {"service_account": "me@x.iam.gserviceaccount.com"}, "--service-account"),
]


@pytest.mark.parametrize(("target", "changes", "words"), WRONG, ids=str)
def test_a_text_that_cannot_be_is_named_with_what_is_allowed(
    order: MakeOrder, target: Target, changes: dict[str, str], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        check_order(order(target, **changes))


@pytest.mark.parametrize(
    "image",
    [
        "ghcr.io/me/faces:1",
        "us-central1-docker.pkg.dev/my-project/twinserve/faces:0123456789abcdef",
        "localhost:5000/faces",
        f"ghcr.io/me/faces@sha256:{'0' * 64}",
        f"ghcr.io/me/faces:1@sha256:{'0' * 64}",
        "me/faces",
    ],
)
def test_usual_names_of_images_are_taken(order: MakeOrder, image: str) -> None:
    check_order(order(Target.KUBERNETES, image=image))


def test_a_project_of_a_domain_is_taken(order: MakeOrder) -> None:
    check_order(order(Target.CLOUD_RUN, project="example.com:my-project"))


def test_values_of_the_environment_are_hidden_and_names_are_not(order: MakeOrder) -> None:
    wanted = order(Target.CLOUD_RUN, environment={"KEY": "s3cret"})
    assert wanted.without_values().deployment.environment == {"KEY": HIDDEN}
