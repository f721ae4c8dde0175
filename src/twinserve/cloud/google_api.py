"""Google's own client libraries, over REST: made late, called with repeats, errors in words.

Credentials are the application default ones. An address may be replaced by the variable that
``gcloud`` itself reads (``CLOUDSDK_API_ENDPOINT_OVERRIDES_RUN`` and so on); at an ``http://`` one,
such as a local server's, no credentials are sent.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cached_property
from importlib import import_module
from typing import Any

from twinserve.cloud.google_errors import in_words, may_be_repeated
from twinserve.cloud.patience import Patience

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
OVERRIDE = "CLOUDSDK_API_ENDPOINT_OVERRIDES_"
CALL_S = 60.0  # one call, without its repeats


class GoogleApi:
    """The clients that deploys need, and the way to call them."""

    def __init__(self, patience: Patience, environment: Mapping[str, str] = os.environ) -> None:
        self.patience = patience
        self._environment = environment

    @cached_property
    def services(self) -> Any:
        """``google.cloud.run_v2.ServicesClient``"""
        return self._client("google.cloud.run_v2", "ServicesClient", "RUN")

    @cached_property
    def functions(self) -> Any:
        """``google.cloud.functions_v2.FunctionServiceClient``"""
        return self._client("google.cloud.functions_v2", "FunctionServiceClient", "CLOUDFUNCTIONS")

    @cached_property
    def registry(self) -> Any:
        """``google.cloud.artifactregistry_v1.ArtifactRegistryClient``"""
        module = "google.cloud.artifactregistry_v1"
        return self._client(module, "ArtifactRegistryClient", "ARTIFACTREGISTRY")

    @cached_property
    def credentials(self) -> Any:
        """The application default credentials."""
        with in_words("find out who you are", ""):
            found, _ = import_module("google.auth").default(scopes=[SCOPE])
        return found

    def access_token(self) -> str:
        """A fresh token of who calls; kept in memory only."""
        with in_words("get an access token", ""):
            transport = import_module("google.auth.transport.requests")
            self.credentials.refresh(transport.Request())
        return str(self.credentials.token)

    def call(self, doing: str, right: str, method: Callable[..., Any], **request: Any) -> Any:
        """Call a client's method with its request; what may be repeated is, ever more slowly.

        ``doing`` and ``right`` name what is done and the permission that it takes.

        Raises:
            CloudError: it failed for good.
            NotThere: there is no such thing.
        """
        return self.call_with(doing, right, method, request)

    def call_with(self, doing: str, right: str, method: Callable[..., Any], request: Any) -> Any:
        """The same with a request that is a message already."""
        with in_words(doing, right):
            return method(request=request, retry=self._retry(), timeout=CALL_S)

    def finish(
        self, doing: str, right: str, operation: Any, waited: Callable[[str, float, float], None]
    ) -> Any:
        """Wait for a long-running operation; returns its result.

        Raises:
            CloudError: it ended with an error, or not in time (it goes on by itself then).
        """
        most_s = self.patience.ready_s
        with in_words(doing, right):
            for waited_s in self.patience.looks():
                if operation.done(retry=self._retry()):
                    return operation.result(timeout=CALL_S)
                waited(doing, waited_s, most_s)
            raise TimeoutError(f"it was not done after {most_s:g} s, and goes on by itself")

    def _client(self, module: str, name: str, override: str) -> Any:
        options: dict[str, Any] = {"transport": "rest"}
        endpoint = self._environment.get(f"{OVERRIDE}{override}", "").rstrip("/")
        if endpoint:
            options["client_options"] = {"api_endpoint": endpoint}
        if endpoint.startswith("http://"):
            options["credentials"] = import_module("google.auth.credentials").AnonymousCredentials()
        else:
            options["credentials"] = self.credentials
        return getattr(import_module(module), name)(**options)

    def _retry(self) -> Any:
        return import_module("google.api_core.retry").Retry(
            predicate=may_be_repeated,
            initial=self.patience.backoff_s,
            maximum=self.patience.backoff_most_s,
            timeout=self.patience.repeat_s,
        )


def to_plain(message: Any) -> dict[str, Any]:
    """A message of Google's libraries as JSON values, with what is zero or empty."""
    json_format = import_module("google.protobuf.json_format")
    plain: dict[str, Any] = json_format.MessageToDict(
        type(message).pb(message), always_print_fields_with_no_presence=True
    )
    return plain
