"""The four places that a deployment may be sent to."""

from __future__ import annotations

from enum import StrEnum

from twinserve.deployment import Kind


class Target(StrEnum):
    """A place, as ``twinserve deploy`` names it."""

    CLOUD_RUN = "cloud-run"
    CLOUD_FUNCTIONS = "cloud-functions"
    KNATIVE = "knative"
    KUBERNETES = "kubernetes"

    @property
    def shown(self) -> str:
        """Its name in a sentence."""
        return TITLES[self]

    @property
    def is_google(self) -> bool:
        return self in (Target.CLOUD_RUN, Target.CLOUD_FUNCTIONS)

    @property
    def kind(self) -> Kind:
        """The kind of deployment that goes there where none is named."""
        return Kind.FUNCTION if self is Target.CLOUD_FUNCTIONS else Kind.CONTAINER


TITLES = {
    Target.CLOUD_RUN: "Cloud Run",
    Target.CLOUD_FUNCTIONS: "Cloud Functions",
    Target.KNATIVE: "Knative",
    Target.KUBERNETES: "Kubernetes",
}
