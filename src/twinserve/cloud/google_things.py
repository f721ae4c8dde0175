"""A Cloud Run service and a Cloud Functions function through Google's clients: look at it, create,
update and delete it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Protocol

from twinserve.cloud.google_api import GoogleApi, to_plain
from twinserve.cloud.google_errors import NotThere
from twinserve.cloud.order import Order

Waited = Callable[[str, float, float], None]


class Thing(Protocol):
    """One thing of one order; its values are JSON as the API names them."""

    word: str
    name: str

    def find(self) -> dict[str, Any] | None: ...
    def create(self, body: Mapping[str, Any], waited: Waited) -> None: ...
    def update(self, body: Mapping[str, Any], waited: Waited) -> None: ...
    def delete(self, waited: Waited) -> None: ...
    def fault(self, found: Mapping[str, Any]) -> str: ...


class RunService:
    """The Cloud Run service of an order."""

    word = "service"

    def __init__(self, api: GoogleApi, order: Order) -> None:
        self._api = api
        self._id = order.name
        self._parent = parent_of(order)
        self.name = f"{self._parent}/services/{order.name}"

    def find(self) -> dict[str, Any] | None:
        """As it is there, or None."""
        look = self._api.services.get_service
        try:
            doing = f"look at the service {self._id}"
            return to_plain(self._api.call(doing, "run.services.get", look, name=self.name))
        except NotThere:
            return None

    def create(self, body: Mapping[str, Any], waited: Waited) -> None:
        make = self._api.services.create_service
        doing, right = f"create the service {self._id}", "run.services.create"
        request = {
            "parent": self._parent,
            "service": _service(body),
            "service_id": self._id,
        }
        self._api.finish(doing, right, self._api.call(doing, right, make, **request), waited)

    def update(self, body: Mapping[str, Any], waited: Waited) -> None:
        """Replace all of it; with an etag in ``body``, only if nobody else has meanwhile."""
        doing, right = f"update the service {self._id}", "run.services.update"
        service = _service(dict(body) | {"name": self.name})
        begun = self._api.call(doing, right, self._api.services.update_service, service=service)
        self._api.finish(doing, right, begun, waited)

    def delete(self, waited: Waited) -> None:
        doing, right = f"delete the service {self._id}", "run.services.delete"
        begun = self._api.call(doing, right, self._api.services.delete_service, name=self.name)
        self._api.finish(doing, right, begun, waited)

    def fault(self, found: Mapping[str, Any]) -> str:
        """Why it does not serve, or nothing."""
        ready = found.get("terminalCondition") or {}
        state = ready.get("state", "CONDITION_SUCCEEDED")
        return "" if state == "CONDITION_SUCCEEDED" else str(ready.get("message") or state)


class Function:
    """The Cloud Functions function of an order."""

    word = "function"

    def __init__(self, api: GoogleApi, order: Order) -> None:
        self._api = api
        self._id = order.name
        self.parent = parent_of(order)
        self.name = f"{self.parent}/functions/{order.name}"

    def find(self) -> dict[str, Any] | None:
        """As it is there, or None."""
        doing, right = f"look at the function {self._id}", "cloudfunctions.functions.get"
        look = self._api.functions.get_function
        try:
            return to_plain(self._api.call(doing, right, look, name=self.name))
        except NotThere:
            return None

    def create(self, body: Mapping[str, Any], waited: Waited) -> None:
        doing, right = (
            f"build and create the function {self._id}",
            "cloudfunctions.functions.create",
        )
        make = self._api.functions.create_function
        request = {"parent": self.parent, "function": _function(body), "function_id": self._id}
        self._api.finish(doing, right, self._api.call(doing, right, make, **request), waited)

    def update(self, body: Mapping[str, Any], waited: Waited) -> None:
        doing, right = (
            f"build and update the function {self._id}",
            "cloudfunctions.functions.update",
        )
        function = _function(dict(body) | {"name": self.name})
        begun = self._api.call(doing, right, self._api.functions.update_function, function=function)
        self._api.finish(doing, right, begun, waited)

    def delete(self, waited: Waited) -> None:
        doing, right = f"delete the function {self._id}", "cloudfunctions.functions.delete"
        begun = self._api.call(doing, right, self._api.functions.delete_function, name=self.name)
        self._api.finish(doing, right, begun, waited)

    def fault(self, found: Mapping[str, Any]) -> str:
        """Why it does not serve, or nothing."""
        if found.get("state") == "ACTIVE":
            return ""
        said = [each.get("message", "") for each in found.get("stateMessages", [])]
        return "; ".join(said) or f"its state is {found.get('state')}"

    def upload_place(self) -> tuple[str, dict[str, Any]]:
        """A signed address for the source, and what to say of it when the function is made."""
        doing, right = "ask where to upload the source", "cloudfunctions.functions.sourceCodeSet"
        ask = self._api.functions.generate_upload_url
        answer = to_plain(self._api.call(doing, right, ask, parent=self.parent))
        source = answer["storageSource"]
        kept = {key: source[key] for key in ("bucket", "object", "generation") if source.get(key)}
        return str(answer["uploadUrl"]), kept


def parent_of(order: Order) -> str:
    return f"projects/{order.project}/locations/{order.region}"


def _service(body: Mapping[str, Any]) -> Any:
    """Strictly: a field that Google's library does not know is an error."""
    return import_module("google.cloud.run_v2").Service.from_json(json.dumps(body))


def _function(body: Mapping[str, Any]) -> Any:
    return import_module("google.cloud.functions_v2").Function.from_json(json.dumps(body))
