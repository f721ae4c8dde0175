"""A local server that speaks the REST surface of Cloud Run, Cloud Functions, Artifact Registry and
the signed uploads, and checks every body with the message types of Google's own libraries."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from faulty import Fault, FaultyHandler, serving_by
from google.cloud import artifactregistry_v1, functions_v2, run_v2
from google.protobuf import json_format

STATUS = {
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
}
TOKEN = "t0ken-of-the-test"  # noqa: S105
SERVICES = r"/v2/(projects/[^/]+/locations/[^/]+)/services"
FUNCTIONS = r"/v2/(projects/[^/]+/locations/[^/]+)/functions"
REPOSITORIES = r"/v1/(projects/[^/]+/locations/[^/]+)/repositories"


class Refused(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


@dataclass
class GoogleServer:
    """What it holds, by full name; ``asked`` has (method, path) of every request."""

    answers_at: str = ""  # where deployed things answer
    polls: int = 2  # looks at an operation before it is done
    things: dict[str, dict[str, Any]] = field(default_factory=dict)
    policies: dict[str, dict[str, Any]] = field(default_factory=dict)
    uploads: dict[str, bytes] = field(default_factory=dict)
    operations: dict[str, dict[str, Any]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)
    bodies: list[tuple[str, str, Any]] = field(default_factory=list)
    fails_with: str = ""  # every operation ends with this error
    broken: str = ""  # things get ready never, for this reason
    url: str = ""
    upload_headers: dict[str, str] = field(default_factory=dict)

    def changes(self) -> list[tuple[str, str]]:
        """What was asked for beside looking."""
        looks = ("getIamPolicy", "operations")
        return [
            each
            for each in self.asked
            if each[0] != "GET" and not any(word in each[1] for word in looks)
        ]

    def overrides(self) -> dict[str, str]:
        """The variables that send Google's clients here."""
        names = ("RUN", "CLOUDFUNCTIONS", "ARTIFACTREGISTRY")
        return {f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{name}": self.url for name in names}

    # -- what is answered -------------------------------------------------------------------------

    def answer(self, method: str, url: str, body: bytes, headers: dict[str, str]) -> Any:
        path, query = urlsplit(url).path, parse_qs(urlsplit(url).query)
        for pattern, verb, reply in self._routes():
            found = re.fullmatch(pattern, path)
            if found and verb == method:
                if path.startswith("/upload/"):
                    self.upload_headers = headers
                    return reply(found, query, body)
                value = json.loads(body) if body and path != "/token" else {}
                self.bodies.append((method, path, value))
                return reply(found, query, value)
        raise Refused(404, f"no such path: {method} {path}")

    def _routes(self) -> Iterator[tuple[str, str, Callable[..., Any]]]:
        name = "/[^/:]+"
        yield rf"{SERVICES}({name})", "GET", self._get
        yield SERVICES, "POST", self._create_service
        yield rf"{SERVICES}({name})", "PATCH", self._update_service
        yield rf"{SERVICES}({name})", "DELETE", self._delete
        yield rf"{SERVICES}({name}):getIamPolicy", "GET", self._get_policy
        yield rf"{SERVICES}({name}):setIamPolicy", "POST", self._set_policy
        yield rf"{FUNCTIONS}:generateUploadUrl", "POST", self._upload_url
        yield rf"{FUNCTIONS}({name})", "GET", self._get
        yield FUNCTIONS, "POST", self._create_function
        yield rf"{FUNCTIONS}({name})", "PATCH", self._update_function
        yield rf"{FUNCTIONS}({name})", "DELETE", self._delete
        yield REPOSITORIES, "POST", self._create_repository
        yield rf"{REPOSITORIES}({name}(?:/packages{name}(?:/tags{name})?)?)", "GET", self._get
        yield rf"{REPOSITORIES}({name})/packages", "GET", self._packages
        yield rf"{REPOSITORIES}({name}(?:/packages{name})?)", "DELETE", self._delete
        yield rf"/v[12]/(projects/[^/]+/locations/[^/]+/operations{name})", "GET", self._operation
        yield r"/upload/(.+)", "PUT", self._uploaded
        yield "/token", "POST", lambda *_: {"access_token": TOKEN, "expires_in": 3600}

    @staticmethod
    def _name(found: re.Match[str]) -> str:
        return found.group(0)[4:].partition(":")[0]

    def _get(self, found: re.Match[str], *_: Any) -> Any:
        name = self._name(found)
        if name not in self.things:
            raise Refused(404, f"Resource '{name}' was not found")
        return self.things[name]

    def _create_service(self, found: re.Match[str], query: Any, body: Any) -> Any:
        return self._put_service(f"{found[1]}/services/{query['serviceId'][0]}", body, new=True)

    def _update_service(self, found: re.Match[str], _: Any, body: Any) -> Any:
        return self._put_service(self._name(found), body, new=False)

    def _put_service(self, name: str, body: Any, new: bool) -> Any:
        if new and name in self.things:
            raise Refused(409, f"Resource '{name}' already exists.")
        before = self.things.get(name, {})
        if not new and body.get("etag") and body["etag"] != before.get("etag"):
            raise Refused(409, "Conflict for resource: version was specified but is not current")
        service = run_v2.Service.from_json(json.dumps(body))  # strict: unknown fields are errors
        assert service.template.containers[0].resources.limits["cpu"], "CPU must be explicit"
        thing = _plain(service) | {
            "name": name,
            "etag": f'"{len(self.asked)}"',
            "generation": str(int(before.get("generation", 0)) + 1),
            "uri": self.answers_at,
            "reconciling": False,
            "terminalCondition": {
                "type": "Ready",
                "state": "CONDITION_FAILED" if self.broken else "CONDITION_SUCCEEDED",
                "message": self.broken,
            },
        }
        # What the platform itself writes, which is no difference.
        thing["template"]["containers"][0]["resources"]["limits"]["memory"] = _other_writing(thing)
        return self._begin(name, thing, "google.cloud.run.v2.Service")

    def _create_function(self, found: re.Match[str], query: Any, body: Any) -> Any:
        name = f"{found[1]}/functions/{query['functionId'][0]}"
        if name in self.things:
            raise Refused(409, f"Resource '{name}' already exists")
        return self._put_function(name, body)

    def _update_function(self, found: re.Match[str], _: Any, body: Any) -> Any:
        return self._put_function(self._name(found), body)

    def _put_function(self, name: str, body: Any) -> Any:
        function = functions_v2.Function.from_json(json.dumps(body))
        source = function.build_config.source.storage_source
        if source.object_ not in self.uploads:
            raise Refused(400, f"no source at {source.bucket}/{source.object_}")
        thing = _plain(function) | {"name": name, "state": "FAILED" if self.broken else "ACTIVE"}
        if self.broken:
            thing["stateMessages"] = [{"severity": "ERROR", "type": "X", "message": self.broken}]
        thing["serviceConfig"] |= {
            "service": name.replace("/functions/", "/services/"),
            "uri": self.answers_at,
        }
        thing["url"] = self.answers_at
        return self._begin(name, thing, "google.cloud.functions.v2.Function")

    def _upload_url(self, *_: Any) -> Any:
        place = f"source-{len(self.asked)}"
        return {
            "uploadUrl": f"{self.url}/upload/{place}?X-Goog-Signature=SIGNED",
            "storageSource": {"bucket": "gcf-v2-uploads", "object": place, "generation": "1"},
        }

    def _uploaded(self, found: re.Match[str], _: Any, body: bytes) -> Any:
        self.uploads[found[1]] = body
        return {}

    def _get_policy(self, found: re.Match[str], *_: Any) -> Any:
        return self.policies.get(self._name(found), {"version": 1, "etag": "BwX="})

    def _set_policy(self, found: re.Match[str], _: Any, body: Any) -> Any:
        self.policies[self._name(found)] = body["policy"]
        return body["policy"]

    def _create_repository(self, found: re.Match[str], query: Any, body: Any) -> Any:
        repository = artifactregistry_v1.Repository.from_json(json.dumps(body))
        assert repository.format_ == artifactregistry_v1.Repository.Format.DOCKER
        name = f"{found[1]}/repositories/{query['repositoryId'][0]}"
        thing = _plain(repository) | {"name": name}
        return self._begin(name, thing, "google.devtools.artifactregistry.v1.Repository")

    def _packages(self, found: re.Match[str], *_: Any) -> Any:
        inside = re.compile(re.escape(self._name(found)) + "/[^/]+")
        named = [thing for name, thing in self.things.items() if inside.fullmatch(name)]
        return {"packages": named}

    def _delete(self, found: re.Match[str], *_: Any) -> Any:
        name = self._name(found)
        if name not in self.things:
            raise Refused(404, f"Resource '{name}' was not found")
        gone = self.things[name]
        for each in [each for each in self.things if each == name or each.startswith(f"{name}/")]:
            del self.things[each]
        self.policies.pop(name, None)
        if "/services/" in name:  # Cloud Run alone answers with what is gone
            return self._begin("", gone, "google.cloud.run.v2.Service", parent=name)
        return self._begin("", {}, "google.protobuf.Empty", parent=name)

    def _begin(self, name: str, thing: dict[str, Any], kind: str, parent: str = "") -> Any:
        """An operation; the thing is there at once, as on the platform."""
        if name:
            self.things[name] = thing
        place = "/".join((name or parent).split("/")[:4])
        operation = f"{place}/operations/{len(self.operations) + 1}"
        self.operations[operation] = {
            "left": self.polls,
            "response": {"@type": f"type.googleapis.com/{kind}"} | thing,
        }
        return {"name": operation, "done": False}

    def _operation(self, found: re.Match[str], *_: Any) -> Any:
        state = self.operations[found[1]]
        state["left"] -= 1
        if state["left"] > 0:
            return {"name": found[1], "done": False}
        if self.fails_with:
            error = {"code": 9, "message": self.fails_with}
            return {"name": found[1], "done": True, "error": error}
        return {"name": found[1], "done": True, "response": state["response"]}


def _plain(message: Any) -> dict[str, Any]:
    plain: dict[str, Any] = json_format.MessageToDict(type(message).pb(message))
    return plain


def _other_writing(service: dict[str, Any]) -> str:
    text = str(service["template"]["containers"][0]["resources"]["limits"]["memory"])
    return f"{int(text[:-2]) * 1024}Mi" if text.endswith("Gi") else text


class _Handler(FaultyHandler):
    def _do(self) -> None:
        google: GoogleServer = self.server.world
        body = self.body()
        path = urlsplit(self.path).path
        google.asked.append((self.command, path))
        fault = self.fault(path)
        if fault and fault.what == "lost":
            return self.cut()
        try:
            if fault and isinstance(fault.what, int):
                raise Refused(fault.what, fault.message)
            value = google.answer(self.command, self.path, body, dict(self.headers))
        except Refused as refused:
            status = STATUS.get(refused.code, "FAILED_PRECONDITION")
            error = {"code": refused.code, "message": refused.message, "status": status}
            return self.send(refused.code, {"error": error})
        except json_format.ParseError as error:
            return self.send(400, {"error": {"code": 400, "message": str(error)}})
        if fault:
            return self.cut()
        return self.send(200, value)

    do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = _do  # noqa: N815 - as http.server asks


def serving(google: GoogleServer) -> AbstractContextManager[GoogleServer]:
    """The server on a free port of 127.0.0.1."""
    return serving_by(_Handler, google)
