"""Kubernetes' own client against a local server that checks manifests by the published schemas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from twinserve.cloud.cluster import Cluster, Ref
from twinserve.cloud.cluster_deploy import Applied, delete_cluster, deploy_cluster
from twinserve.cloud.journal import Journal
from twinserve.cloud.order import Order
from twinserve.cloud.patience import Patience
from twinserve.cloud.target import Target
from twinserve.errors import CloudError

MakeOrder = Callable[..., Order]
BOTH = pytest.mark.parametrize("target", [Target.KNATIVE, Target.KUBERNETES])
OBJECTS = {Target.KNATIVE: 1, Target.KUBERNETES: 3}


class Site:
    """A cluster on the local server, and the way deploys go there."""

    def __init__(self, kube: Any, cluster: Cluster, journal: Journal, server: Any) -> None:
        self.kube, self.cluster, self.journal, self.fault = kube, cluster, journal, server.Fault
        self.prepared = 0

    def deploy(self, order: Order) -> Applied:
        return deploy_cluster(order, self.cluster, self._prepare, self.journal)

    def delete(self, order: Order) -> list[str]:
        return delete_cluster(order, self.cluster, self.journal)

    def _prepare(self) -> None:
        self.prepared += 1


@pytest.fixture
def site(
    kube: Any,
    patience: Patience,
    journal: Journal,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kube_server: Any,
) -> Site:
    monkeypatch.setenv("KUBECONFIG", str(kube.kubeconfig(tmp_path / "kubeconfig")))
    return Site(kube, Cluster("", patience), journal, kube_server)


@BOTH
def test_the_same_command_again_changes_nothing(
    site: Site, order: MakeOrder, target: Target
) -> None:
    wanted = order(target)
    assert site.deploy(wanted).changed == OBJECTS[target]
    before = len(site.kube.changes())
    assert site.deploy(wanted).changed == 0
    assert len(site.kube.changes()) == before
    assert site.prepared == 1


@BOTH
def test_what_differs_alone_is_applied_and_named(
    site: Site, order: MakeOrder, target: Target, said: list[str]
) -> None:
    site.deploy(order(target))
    assert site.deploy(order(target, cpu=2.0)).changed == 1
    assert any("differs" in line and "resources" in line for line in said)
    assert site.deploy(order(target)).changed == 1
    assert site.deploy(order(target)).changed == 0


def test_an_autoscaler_that_is_no_longer_wanted_goes(site: Site, order: MakeOrder) -> None:
    site.deploy(order(Target.KUBERNETES))
    fixed = order(Target.KUBERNETES, policy="always-on", min_instances=2)
    site.deploy(fixed)
    assert not any("horizontalpodautoscalers" in path for path in site.kube.things)
    assert site.deploy(fixed).changed == 0


def test_the_number_of_instances_is_left_to_the_autoscaler(site: Site, order: MakeOrder) -> None:
    site.deploy(order(Target.KUBERNETES))
    deployment = site.kube.things[
        "/apis/apps/v1/namespaces/default/deployments/twinserve-container"
    ]
    deployment["spec"]["replicas"] = 5
    assert site.deploy(order(Target.KUBERNETES)).changed == 0
    assert deployment["spec"]["replicas"] == 5


@BOTH
def test_what_somebody_else_made_is_left_alone(
    site: Site, order: MakeOrder, target: Target
) -> None:
    site.deploy(order(target))
    for thing in site.kube.things.values():
        thing["metadata"]["labels"] = {"app.kubernetes.io/managed-by": "Helm"}
    for act in (site.deploy, site.delete):
        with pytest.raises(CloudError, match=r"did not make, so it is left alone; .* --name"):
            act(order(target))
    assert len(site.kube.things) == OBJECTS[target]


@BOTH
def test_deleting_takes_away_what_was_made_and_nothing_else(
    site: Site, order: MakeOrder, target: Target
) -> None:
    site.deploy(order(target))
    site.deploy(order(target, name="other"))
    assert len(site.delete(order(target))) == OBJECTS[target]
    assert len(site.kube.things) == OBJECTS[target]
    assert all(path.endswith("/other") for path in site.kube.things)
    assert site.delete(order(target)) == []


@BOTH
@pytest.mark.parametrize("what", ["lost", "unheard", 429, 503])
def test_a_call_that_may_be_repeated_is(
    site: Site, order: MakeOrder, target: Target, what: Any
) -> None:
    site.kube.faults += [
        site.fault("GET", "/services/", what),
        site.fault("PATCH", "/services/", what, times=2),
        site.fault("DELETE", "/services/", what),
    ]
    assert site.deploy(order(target)).changed == OBJECTS[target]
    site.delete(order(target))
    assert not any(fault.times for fault in site.kube.faults)
    assert not site.kube.things


FAILURES = [
    (("PATCH", "/services/", 403), "docs/deploy.md has the role", 1),
    (("PATCH", "/services/", 409), "Somebody else changes it", 1),
    (("PATCH", "/services/", 429), "repeated in vain", 1),
    (("PATCH", "/services/", "lost"), "The cluster cannot be reached to apply Service", 1),
    (("PATCH", "/horizontalpodautoscalers/", 403), "refused to apply HorizontalPodAutoscaler", 2),
    (("PATCH", "/deployments/", 422), "(422: said by the test)", 0),
    (("GET", "/services/", 401), "kubectl auth whoami", 0),
]


@pytest.mark.parametrize(("fault", "words", "made"), FAILURES, ids=lambda x: str(x))
def test_a_failure_says_what_went_wrong_what_exists_and_how_to_go_on(
    site: Site, order: MakeOrder, fault: Any, words: str, made: int
) -> None:
    site.kube.faults.append(site.fault(*fault, times=1000))
    with pytest.raises(CloudError) as caught:
        site.deploy(order(Target.KUBERNETES))
    text = str(caught.value)
    assert words in text
    assert text.endswith("To go on: AGAIN\nTo remove it: UNDO")
    assert len(site.kube.things) == made
    names = ("Deployment default/", "Service default/", "Horizontal")
    there = text.partition("By now there is: ")[2].partition("\n")[0]
    assert [name in there for name in names] == [k < made for k in range(3)]
    site.kube.faults.clear()
    assert site.deploy(order(Target.KUBERNETES)).changed == 3 - made


@BOTH
def test_instances_that_never_get_ready_are_told_with_the_cluster_s_own_reason(
    site: Site, order: MakeOrder, target: Target, patience: Patience
) -> None:
    site.cluster.patience = replace(patience, ready_s=0.2)
    site.kube.broken = "Back-off pulling image ghcr.io/me/faces:1"
    with pytest.raises(CloudError, match="Back-off pulling image") as caught:
        site.deploy(order(target))
    assert "By now there is: " in str(caught.value)


def test_a_public_service_waits_for_the_address_of_its_load_balancer(
    site: Site, order: MakeOrder, patience: Patience
) -> None:
    site.kube.address = "203.0.113.7:80"
    assert site.deploy(order(Target.KUBERNETES, public=True)).url == "http://203.0.113.7"
    site.kube.address = ""
    site.cluster.patience = replace(patience, ready_s=0.1)
    with pytest.raises(CloudError, match="load balancer no address"):
        site.deploy(order(Target.KUBERNETES, public=True))


def test_a_private_knative_service_has_an_address_inside_the_cluster_only(
    site: Site, order: MakeOrder
) -> None:
    assert site.deploy(order(Target.KNATIVE)).url.endswith(".svc.cluster.local")
    assert site.deploy(order(Target.KNATIVE, public=True)).url.endswith(".example.com")
    assert site.deploy(order(Target.KNATIVE)).url.endswith(".svc.cluster.local")


def test_a_cluster_without_knative_is_said_so(site: Site, order: MakeOrder) -> None:
    site.kube.knative = False
    with pytest.raises(CloudError, match="is Knative Serving installed"):
        site.deploy(order(Target.KNATIVE))


def test_a_namespace_that_does_not_exist_is_named(site: Site, order: MakeOrder) -> None:
    with pytest.raises(CloudError, match='namespaces "nowhere" not found'):
        site.deploy(order(Target.KUBERNETES, namespace="nowhere"))
    assert not site.kube.things


def test_a_cluster_that_is_not_there_is_said_so(
    site: Site, order: MakeOrder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.kube.url = "http://127.0.0.1:1"
    monkeypatch.setenv("KUBECONFIG", str(site.kube.kubeconfig(tmp_path / "nobody")))
    with pytest.raises(CloudError, match=r"The cluster cannot be reached.*refused"):
        site.deploy(order(Target.KUBERNETES))


def test_a_kubeconfig_or_context_that_is_missing_is_said_so(
    site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, patience: Patience
) -> None:
    ref = Ref("v1", "Service", "x", "default")
    assert site.cluster.get(ref) is None
    with pytest.raises(CloudError, match=r"Could not read the kubeconfig: .*nobody"):
        Cluster("nobody", patience).get(ref)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "missing"))
    with pytest.raises(CloudError, match="Does `kubectl config current-context`"):
        Cluster("", patience).get(ref)


def test_the_namespace_is_the_context_s_own(
    site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert site.cluster.namespace() == "default"
    monkeypatch.setenv("KUBECONFIG", str(site.kube.kubeconfig(tmp_path / "shop", "shop")))
    assert site.cluster.namespace() == "shop"


def test_the_login_goes_to_the_cluster_and_into_no_message(
    site: Site, order: MakeOrder, said: list[str]
) -> None:
    site.kube.faults.append(site.fault("PATCH", "/services/", 403, times=9))
    with pytest.raises(CloudError) as caught:
        site.deploy(order(Target.KUBERNETES, environment={"KEY": "s3cret-value"}))
    assert set(site.kube.tokens) == {"Bearer SECRET-TOKEN"}
    assert "SECRET" not in str(caught.value)
    assert not any("s3cret" in line for line in [*said, str(caught.value)])


def test_an_instance_is_asked_through_the_cluster_s_own_proxy(site: Site, order: MakeOrder) -> None:
    site.deploy(order(Target.KUBERNETES))
    ask = site.cluster.through("twinserve-container", "default")
    assert ask("GET", "/readyz")[0] == 200
    assert ask("POST", "/generate", b'{"num_images": 65}')[0] == 422
    assert ask("GET", "/nowhere")[0] == 404
    assert set(site.kube.tokens) == {"Bearer SECRET-TOKEN"}
