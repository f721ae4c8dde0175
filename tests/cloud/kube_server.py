"""A local server that speaks as much of the Kubernetes API as deploys use: objects are applied,
read and deleted, checked against Kubernetes' own schemas and Knative's, get ready after some looks,
and services are asked through its proxy."""

from __future__ import annotations

import copy
import json
import re
import urllib.error
import urllib.request
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import kubernetes_validate
import yaml
from cloudcoil.models.knative_serving.serving import v1 as knative
from faulty import Fault, FaultyHandler, serving_by

VERSION = "1.37"
OBJECT = re.compile(
    r"/(?:api/v1|apis/([a-z.]+)/(v\d\w*))/namespaces/([\w-]+)/(\w+)(?:/([\w-]+))?(/proxy.*)?"
)
PROXY = re.compile(r"/api/v1/namespaces/([\w-]+)/services/([\w-]+):80/proxy(/.*)")


@dataclass
class KubeServer:
    """What it holds, by path; ``asked`` has (method, path) of every request."""

    answers_at: str = ""  # where instances answer
    looks: int = 2  # at a workload before it is ready
    knative: bool = True
    namespaces: tuple[str, ...] = ("default", "shop")
    address: str = ""  # what a load balancer gets
    broken: str = ""  # why instances never get ready
    things: dict[str, dict[str, Any]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    left: dict[str, int] = field(default_factory=dict)
    url: str = ""

    def changes(self) -> list[tuple[str, str]]:
        return [each for each in self.asked if each[0] != "GET" and "/proxy/" not in each[1]]

    def kubeconfig(self, path: Path, namespace: str = "") -> Path:
        """A kubeconfig with one context, ``test``."""
        context = {"cluster": "test", "user": "test"} | (
            {"namespace": namespace} if namespace else {}
        )
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": self.url}}],
            "users": [{"name": "test", "user": {"token": "SECRET-TOKEN"}}],
            "contexts": [{"name": "test", "context": context}],
        }
        path.write_text(yaml.safe_dump(config))
        return path

    def answer(self, method: str, url: str, body: bytes, content_type: str) -> tuple[int, Any]:
        path, query = urlsplit(url).path, parse_qs(urlsplit(url).query)
        if proxied := PROXY.fullmatch(path):
            return self._proxied(method, proxied, body)
        found = OBJECT.fullmatch(path)
        if not found or (found[1] == "serving.knative.dev" and not self.knative):
            return 404, b"404 page not found\n"
        if found[4] == "pods":
            return 200, {"items": self._pods()}
        if method == "PATCH":
            assert content_type == "application/apply-patch+yaml", content_type
            assert query["fieldManager"] == ["twinserve"]
            return self._apply(path, found, json.loads(body))
        if path not in self.things:
            return _failure(404, f'{found[4]} "{found[5]}" not found')
        if method == "DELETE":
            assert json.loads(body or b"{}").get("propagationPolicy") or query["propagationPolicy"]
            return 200, self.things.pop(path)
        return 200, self._looked_at(path)

    def _apply(self, path: str, found: re.Match[str], sent: dict[str, Any]) -> tuple[int, Any]:
        if found[3] not in self.namespaces:
            return _failure(404, f'namespaces "{found[3]}" not found')
        if problem := invalid(sent):
            return _failure(422, problem)
        before = self.things.get(path, {})
        thing = copy.deepcopy(sent)
        generation = before.get("metadata", {}).get("generation", 0) + 1
        thing["metadata"] |= {"uid": "1", "generation": generation, "resourceVersion": "7"}
        if thing["kind"] == "Deployment":  # what the platform itself writes: no differences
            pod = thing["spec"]["template"]["spec"]
            pod |= {"restartPolicy": "Always", "dnsPolicy": "ClusterFirst"}
            thing["spec"].setdefault("replicas", 1)
        self.things[path] = thing
        self.left[path] = self.looks
        return 200, thing

    def _looked_at(self, path: str) -> Any:
        thing = copy.deepcopy(self.things[path])
        self.left[path] -= 1
        ready = self.left[path] <= 0 and not self.broken
        if thing["apiVersion"].startswith("serving.knative"):
            thing["status"] = self._knative_status(thing, ready)
        elif thing["kind"] == "Deployment":
            count = thing["spec"]["replicas"]
            thing["status"] = {
                "observedGeneration": thing["metadata"]["generation"],
                "replicas": count,
                "updatedReplicas": count,
                "availableReplicas": count if ready else 0,
            }
        elif thing["spec"].get("type") == "LoadBalancer" and self.address:
            host, _, port = self.address.partition(":")
            thing["status"] = {"loadBalancer": {"ingress": [{"ip": host}]}}
            thing["spec"]["ports"][0]["port"] = int(port)
            self.things[path]["spec"]["ports"][0]["port"] = 80
        return thing

    def _knative_status(self, thing: Any, ready: bool) -> dict[str, Any]:
        metadata = thing["metadata"]
        private = metadata["labels"].get("networking.knative.dev/visibility") == "cluster-local"
        domain = "svc.cluster.local" if private else "example.com"
        condition = {"type": "Ready", "status": "True" if ready else "Unknown", "message": "…"}
        if self.broken:
            condition |= {"status": "False", "reason": "RevisionFailed", "message": self.broken}
        return {
            "observedGeneration": metadata["generation"],
            "conditions": [condition],
            "url": f"http://{metadata['name']}.{metadata['namespace']}.{domain}",
        }

    def _pods(self) -> list[Any]:
        waiting = {"reason": "ImagePullBackOff", "message": self.broken}
        return [{"status": {"containerStatuses": [{"state": {"waiting": waiting}}]}}]

    def _proxied(self, method: str, found: re.Match[str], body: bytes) -> tuple[int, Any]:
        if f"/api/v1/namespaces/{found[1]}/services/{found[2]}" not in self.things:
            return _failure(404, f'services "{found[2]}" not found')
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(  # noqa: S310
            self.answers_at + found[3], body or None, headers, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()


def invalid(manifest: dict[str, Any]) -> str:
    """What the published schema has against a manifest, or nothing."""
    return _invalid(json.dumps(manifest))


@cache  # the schemas are read again for each check
def _invalid(text: str) -> str:
    manifest = json.loads(text)
    if manifest["apiVersion"] == "serving.knative.dev/v1":
        return _invalid_knative(manifest)
    try:
        kubernetes_validate.validate(manifest, VERSION, strict=True)
    except kubernetes_validate.ValidationError as error:
        return f"{'.'.join(map(str, error.path))}: {error.message}"
    return ""


def _invalid_knative(manifest: dict[str, Any]) -> str:
    """Read by the model made of Knative's CRD; a field that it does not know would be lost."""
    try:
        # Strictly, else the text "1" is taken for a number, which the schema's patterns refuse.
        read = knative.Service.model_validate_json(json.dumps(manifest), strict=True)
    except ValueError as error:
        return str(error)
    spec = read.model_dump(by_alias=True, exclude_unset=True, mode="json")["spec"]
    return "" if spec == manifest["spec"] else f"fields that Knative does not know: {spec}"


def _failure(code: int, message: str) -> tuple[int, Any]:
    return code, {"kind": "Status", "status": "Failure", "message": message, "code": code}


class _Handler(FaultyHandler):
    def _do(self) -> None:
        kube: KubeServer = self.server.world
        body = self.body()
        path = urlsplit(self.path).path
        kube.asked.append((self.command, path))
        kube.tokens.append(self.headers.get("Authorization", ""))
        fault = self.fault(path)
        if fault and isinstance(fault.what, int):
            return self.send(*_failure(fault.what, fault.message))
        if fault and fault.what == "lost":
            return self.cut()
        answer = kube.answer(self.command, self.path, body, self.headers.get("Content-Type", ""))
        return self.cut() if fault else self.send(*answer)

    do_GET = do_POST = do_PATCH = do_DELETE = _do  # noqa: N815 - as http.server asks


def serving(kube: KubeServer) -> AbstractContextManager[KubeServer]:
    """The server on a free port of 127.0.0.1."""
    return serving_by(_Handler, kube)
