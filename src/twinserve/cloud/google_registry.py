"""Artifact Registry: a repository of ours for the images, and what is in it."""

from __future__ import annotations

from typing import Any

from twinserve.cloud.google_api import GoogleApi, to_plain
from twinserve.cloud.google_errors import NotThere
from twinserve.cloud.google_things import Waited, parent_of
from twinserve.cloud.marks import GOOGLE_MANAGED, OURS
from twinserve.cloud.order import Order

REPOSITORY = "twinserve"


class Registry:
    """The repository ``twinserve`` of the order's project and region; a package in it for each
    deployed name, so that deleting one leaves the others."""

    def __init__(self, api: GoogleApi, order: Order) -> None:
        self._api = api
        self._parent = parent_of(order)
        self.name = f"{self._parent}/repositories/{REPOSITORY}"
        self.package = f"{self.name}/packages/{order.name}"
        self.image = image_name(order)

    def ensure(self, waited: Waited) -> bool:
        """Make the repository if it is not there; returns whether it was made."""
        if self._repository() is not None:
            return False
        doing, right = "create a repository for images", "artifactregistry.repositories.create"
        repository = {
            "format_": "DOCKER",
            "description": "Images of `twinserve deploy`.",
            "labels": {GOOGLE_MANAGED: OURS},
        }
        request = {
            "parent": self._parent,
            "repository": repository,
            "repository_id": REPOSITORY,
        }
        make = self._api.registry.create_repository
        self._api.finish(doing, right, self._api.call(doing, right, make, **request), waited)
        return True

    def has(self, tag: str) -> bool:
        """Whether the image of that tag is there already."""
        doing, right = f"look for the image {tag}", "artifactregistry.tags.get"
        return self._found(doing, right, self._api.registry.get_tag, f"{self.package}/tags/{tag}")

    def remove(self, waited: Waited) -> list[str]:
        """Delete the package of this name, and the repository if it is ours and empty then;
        returns what was deleted, in words."""
        repository = self._repository()
        if repository is None or repository.get("labels", {}).get(GOOGLE_MANAGED) != OURS:
            return []
        gone = []
        doing, right = "look for images", "artifactregistry.packages.get"
        if self._found(doing, right, self._api.registry.get_package, self.package):
            self._delete("delete the images", "packages", self.package, waited)
            gone.append(f"the images {self.image}")
        if not self._packages():
            self._delete("delete the empty repository", "repositories", self.name, waited)
            gone.append(f"the repository {self.name}")
        return gone

    def _repository(self) -> dict[str, Any] | None:
        doing, right = "look at the repository for images", "artifactregistry.repositories.get"
        look = self._api.registry.get_repository
        try:
            return to_plain(self._api.call(doing, right, look, name=self.name))
        except NotThere:
            return None

    def _packages(self) -> list[Any]:
        doing, right = "list images", "artifactregistry.packages.list"
        return list(
            self._api.call(doing, right, self._api.registry.list_packages, parent=self.name)
        )

    def _delete(self, doing: str, what: str, name: str, waited: Waited) -> None:
        right = f"artifactregistry.{what}.delete"
        client = self._api.registry
        delete = client.delete_package if what == "packages" else client.delete_repository
        self._api.finish(doing, right, self._api.call(doing, right, delete, name=name), waited)

    def _found(self, doing: str, right: str, look: Any, name: str) -> bool:
        try:
            self._api.call(doing, right, look, name=name)
        except NotThere:
            return False
        return True


def image_name(order: Order) -> str:
    """What an image of the order is called there, without its tag."""
    project = order.project.replace(":", "/")  # as domain-scoped projects are written
    return f"{order.region}-docker.pkg.dev/{project}/{REPOSITORY}/{order.name}"
