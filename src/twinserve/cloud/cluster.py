"""A Kubernetes cluster through Kubernetes' own client: objects are read, applied and deleted.

Which cluster, and as whom, says the kubeconfig, as for ``kubectl``. Objects are applied by the
server (server-side apply), so that what others set on them stays.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import Any

from twinserve.cloud.cluster_errors import NotThere, in_words, may_be_repeated, said_by
from twinserve.cloud.patience import Patience
from twinserve.errors import CloudError

KUBECONFIG = "KUBECONFIG"  # read here: the client looks at it once, when it is imported
MANAGER = "twinserve"
APPLY = "application/apply-patch+yaml"
CALL_S = 60.0
# Where the client has the calls for a kind: its class, and the end of its methods' names.
TYPED = {
    ("apps/v1", "Deployment"): ("AppsV1Api", "deployment"),
    ("v1", "Service"): ("CoreV1Api", "service"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"): (
        "AutoscalingV2Api",
        "horizontal_pod_autoscaler",
    ),
}
PLURALS = {("serving.knative.dev/v1", "Service"): "services"}


@dataclass(frozen=True)
class Ref:
    """Which object: as ``kubectl get KIND NAME`` would name it."""

    api: str
    kind: str
    name: str
    namespace: str

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> Ref:
        metadata = manifest["metadata"]
        return cls(
            manifest["apiVersion"], manifest["kind"], metadata["name"], metadata["namespace"]
        )

    @property
    def words(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


class Cluster:
    """One cluster; ``context`` is one of the kubeconfig, empty the current one."""

    def __init__(self, context: str, patience: Patience) -> None:
        self._context = context
        self.patience = patience

    @cached_property
    def client(self) -> Any:
        """``kubernetes.client.ApiClient`` for the chosen context."""
        # Repeats are ours: the client's own would be told as warnings.
        configuration = import_module("kubernetes.client").Configuration()
        configuration.retries = False
        config = import_module("kubernetes.config")
        with in_words("read the kubeconfig"):
            return config.new_client_from_config(
                config_file=os.environ.get(KUBECONFIG),
                context=self._context or None,
                client_configuration=configuration,
            )

    def namespace(self) -> str:
        """That of the context, else ``default``, as for kubectl."""
        config = import_module("kubernetes.config")
        with in_words("read the kubeconfig"):
            contexts, active = config.list_kube_config_contexts(os.environ.get(KUBECONFIG))
        chosen = next((each for each in contexts if each["name"] == self._context), active)
        return str(chosen["context"].get("namespace") or "default")

    def get(self, ref: Ref) -> dict[str, Any] | None:
        """The object as it is there, or None."""
        try:
            return self._call(f"look at {ref.words}", self._method("get", ref), ref)
        except NotThere:
            return None

    def apply(self, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Create it, or make it be as the manifest says."""
        ref = Ref.of(manifest)
        options = {
            "body": dict(manifest),
            "field_manager": MANAGER,
            "force": True,
            "_content_type": APPLY,
        }
        return self._call(f"apply {ref.words}", self._method("patch", ref), ref, **options)

    def delete(self, ref: Ref) -> None:
        """Delete it with all that hangs on it, and wait until it is gone."""
        options = {"propagation_policy": "Foreground"}
        try:
            self._call(f"delete {ref.words}", self._method("delete", ref), ref, **options)
        except NotThere:
            return
        for _ in self.patience.looks():
            if self.get(ref) is None:
                return
        raise CloudError(f"{ref.words} is being deleted, but was still there when time was up.")

    def pods(self, namespace: str, labels: str) -> list[dict[str, Any]]:
        """The pods with these labels."""
        core = import_module("kubernetes.client").CoreV1Api(self.client)
        found = self._raw(
            "list pods", core.list_namespaced_pod, namespace=namespace, label_selector=labels
        )
        return list(found.get("items", []))

    def through(self, service: str, namespace: str) -> Callable[..., tuple[int, bytes]]:
        """A way to ask a service of the cluster, through the API server's own proxy."""
        base = f"{self.client.configuration.host}/api/v1/namespaces/{namespace}/services/{service}"

        def ask(method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
            with in_words(f"ask {service}"):
                return self._asked(method, f"{base}:80/proxy{path}", body)

        return ask

    def _asked(self, method: str, url: str, body: bytes | None) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/json"} if body else {}
        self.client.update_params_for_auth(headers, [], ["BearerToken"], url, method, body)
        answer = self.client.rest_client.pool_manager.request(
            method, url, body=body, headers=headers, timeout=CALL_S, retries=False
        )
        return int(answer.status), bytes(answer.data)

    def _method(self, verb: str, ref: Ref) -> Callable[..., Any]:
        client = import_module("kubernetes.client")
        if (ref.api, ref.kind) in PLURALS:
            custom = client.CustomObjectsApi(self.client)
            method: Callable[..., Any] = getattr(custom, f"{verb}_namespaced_custom_object")
            return method
        owner, ending = TYPED[ref.api, ref.kind]
        verb = "read" if verb == "get" else verb
        typed: Callable[..., Any] = getattr(
            getattr(client, owner)(self.client), f"{verb}_namespaced_{ending}"
        )
        return typed

    def _call(
        self, doing: str, method: Callable[..., Any], ref: Ref, **options: Any
    ) -> dict[str, Any]:
        place: dict[str, Any] = {"namespace": ref.namespace, "name": ref.name}
        if plural := PLURALS.get((ref.api, ref.kind)):
            group, _, version = ref.api.partition("/")
            place |= {"group": group, "version": version, "plural": plural}
        found: dict[str, Any] = self._raw(doing, method, **place, **options)
        return found

    def _raw(self, doing: str, method: Callable[..., Any], **options: Any) -> Any:
        """Plain JSON; the client's own classes would drop what they do not know. What may be
        repeated is, ever more slowly."""
        last: Exception | None = None
        for pause_s in self.patience.pauses():
            self.patience.pause(pause_s)
            try:
                answer = method(**options, _preload_content=False, _request_timeout=CALL_S)
                return json.loads(answer.data)
            except Exception as error:
                last = error
                if not may_be_repeated(error):
                    break
        raise said_by(last, doing) from last
