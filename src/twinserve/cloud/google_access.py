"""Who may call a service: everyone, or who was given the right. The rest of the policy stays."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from twinserve.cloud.google_api import GoogleApi

INVOKER, EVERYONE = "roles/run.invoker", "allUsers"


def set_access(api: GoogleApi, service: str, public: bool) -> bool:
    """Let everyone call ``service`` (its full name), or not; returns whether that was a change.

    Raises:
        CloudError: it was refused, as an organisation's rules may.
    """
    look, right = api.services.get_iam_policy, "run.services.getIamPolicy"
    policy = api.call("see who may call the service", right, look, resource=service)
    if _is_public(policy) is public:
        return False
    _change(policy, public)
    doing = f"make the service {'public' if public else 'private'}"
    change, right = api.services.set_iam_policy, "run.services.setIamPolicy"
    request = import_module("google.iam.v1.iam_policy_pb2").SetIamPolicyRequest
    api.call_with(doing, right, change, request(resource=service, policy=policy))
    return True


def _is_public(policy: Any) -> bool:
    return any(each.role == INVOKER and EVERYONE in each.members for each in policy.bindings)


def _change(policy: Any, public: bool) -> None:
    if public:
        policy.bindings.add(role=INVOKER, members=[EVERYONE])
        return
    for binding in policy.bindings:
        if binding.role == INVOKER and EVERYONE in binding.members:
            binding.members.remove(EVERYONE)
    for place in reversed(range(len(policy.bindings))):
        if not policy.bindings[place].members:
            del policy.bindings[place]
