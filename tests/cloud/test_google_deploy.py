"""Google's own client libraries against a local server that speaks their REST surface."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from twinserve.cloud.cloud_functions import function_body
from twinserve.cloud.cloud_run import service_body
from twinserve.cloud.google_api import GoogleApi
from twinserve.cloud.google_deploy import Change, Deployed, delete_google, deploy_google
from twinserve.cloud.google_registry import Registry
from twinserve.cloud.google_things import Function, RunService
from twinserve.cloud.journal import Journal
from twinserve.cloud.order import Order
from twinserve.cloud.patience import Patience
from twinserve.cloud.target import Target
from twinserve.cloud.upload import upload
from twinserve.errors import CloudError

SERVICE = "projects/my-project/locations/us-central1/services/twinserve-container"
FUNCTION = "projects/my-project/locations/us-central1/functions/twinserve-function"


class Site:
    """A project on the local server, and the way deploys go there."""

    def __init__(
        self, google: Any, patience: Patience, journal: Journal, zip_file: Path, server: Any
    ) -> None:
        self.google, self.journal, self.fault = google, journal, server.Fault
        self.zip = zip_file
        self.prepared = 0
        self.api = GoogleApi(patience, google.overrides())

    def thing(self, order: Order) -> RunService | Function:
        run = order.target is Target.CLOUD_RUN
        return RunService(self.api, order) if run else Function(self.api, order)

    def deploy(self, order: Order) -> Deployed:
        thing = self.thing(order)
        body = service_body(order) if isinstance(thing, RunService) else function_body(order)

        def prepared() -> Mapping[str, Any]:
            self.prepared += 1
            if isinstance(thing, RunService):
                return body
            url, place = thing.upload_place()
            upload(url, self.zip, self.api.patience)
            return function_body(order, place)

        return deploy_google(order, self.api, thing, body, prepared, self.journal)

    def delete(self, order: Order) -> list[str]:
        return delete_google(order, self.api, self.thing(order), self.journal)


@pytest.fixture
def site(
    google: Any, patience: Patience, journal: Journal, tmp_path: Path, google_server: Any
) -> Site:
    source = tmp_path / "function.zip"
    source.write_bytes(b"PK" + b"\0" * 1000)
    return Site(google, patience, journal, source, google_server)


MakeOrder = Callable[..., Order]
BOTH = pytest.mark.parametrize("target", [Target.CLOUD_RUN, Target.CLOUD_FUNCTIONS])


@BOTH
def test_the_same_command_again_changes_nothing(
    site: Site, order: MakeOrder, target: Target
) -> None:
    wanted = order(target)
    first = site.deploy(wanted)
    assert (first.change, first.url) == (Change.CREATED, site.google.answers_at)
    before = len(site.google.changes())
    assert site.deploy(wanted).change is Change.UNCHANGED
    assert len(site.google.changes()) == before
    assert site.prepared == 1


@BOTH
@pytest.mark.parametrize(
    "changes",
    [
        {"max_instances": 7},
        {"cpu": 2.0},
        {"min_instances": 1},
        {"environment": {"A": "1"}},
        {"service_account": "me@my-project.iam.gserviceaccount.com"},
    ],
    ids=str,
)
def test_what_differs_is_named_and_updated_and_back(
    site: Site, order: MakeOrder, target: Target, changes: dict[str, Any], said: list[str]
) -> None:
    plain, changed = order(target), order(target, **changes)
    site.deploy(plain)
    assert site.deploy(changed).change is Change.UPDATED
    assert any("is there and differs: " in line for line in said)
    assert site.deploy(changed).change is Change.UNCHANGED
    # Back to what is not sent at all: that must be noticed too.
    assert site.deploy(plain).change is Change.UPDATED
    assert site.deploy(plain).change is Change.UNCHANGED


def test_a_setting_that_somebody_else_changed_is_set_again(
    site: Site, order: MakeOrder, said: list[str]
) -> None:
    wanted = order(Target.CLOUD_RUN)
    site.deploy(wanted)
    site.google.things[SERVICE]["template"]["maxInstanceRequestConcurrency"] = 3
    assert site.deploy(wanted).change is Change.UPDATED
    assert any("differs: template.maxInstanceRequestConcurrency" in line for line in said)
    kept = site.google.things[SERVICE]["template"]["maxInstanceRequestConcurrency"]
    assert kept == 80


def test_always_on_is_a_fixed_number_and_automatic_again(site: Site, order: MakeOrder) -> None:
    fixed = order(Target.CLOUD_RUN, policy="always-on", min_instances=2)
    site.deploy(fixed)
    scaling = {"scalingMode": "MANUAL", "manualInstanceCount": 2}
    assert site.google.things[SERVICE]["scaling"] == scaling
    assert site.deploy(fixed).change is Change.UNCHANGED
    assert site.deploy(order(Target.CLOUD_RUN)).change is Change.UPDATED
    assert not site.google.things[SERVICE].get("scaling")
    assert site.deploy(order(Target.CLOUD_RUN)).change is Change.UNCHANGED


def test_a_function_whose_source_changed_is_uploaded_and_built_again(
    site: Site, order: MakeOrder
) -> None:
    site.deploy(order(Target.CLOUD_FUNCTIONS))
    assert site.deploy(order(Target.CLOUD_FUNCTIONS, content="cd" * 32)).change is Change.UPDATED
    assert len(site.google.uploads) == 2


def test_a_source_goes_to_the_signed_address_without_credentials(
    site: Site, order: MakeOrder
) -> None:
    site.deploy(order(Target.CLOUD_FUNCTIONS))
    assert list(site.google.uploads.values()) == [site.zip.read_bytes()]
    headers = {name.lower(): value for name, value in site.google.upload_headers.items()}
    assert headers["content-type"] == "application/zip"
    assert "authorization" not in headers


def test_cpu_is_sent_though_memory_alone_would_choose_it(site: Site, order: MakeOrder) -> None:
    site.deploy(order(Target.CLOUD_FUNCTIONS))
    service = site.google.things[FUNCTION]["serviceConfig"]
    assert (service["availableCpu"], service["availableMemory"]) == ("1", "4Gi")


@BOTH
def test_a_service_is_private_unless_asked_otherwise_and_made_so_again(
    site: Site, order: MakeOrder, target: Target
) -> None:
    private = order(target)
    site.deploy(private)
    assert not site.google.policies
    public = replace(private, public=True)
    assert site.deploy(public).change is Change.UPDATED
    (service, policy), *_ = site.google.policies.items()
    assert service.endswith(f"/services/{private.name}")
    assert policy["bindings"] == [{"role": "roles/run.invoker", "members": ["allUsers"]}]
    assert site.deploy(public).change is Change.UNCHANGED
    policy["bindings"].append({"role": "roles/run.invoker", "members": ["user:a@example.com"]})
    assert site.deploy(private).change is Change.UPDATED
    kept = site.google.policies[service]["bindings"]
    assert kept == [{"role": "roles/run.invoker", "members": ["user:a@example.com"]}]


@BOTH
def test_what_somebody_else_made_is_left_alone(
    site: Site, order: MakeOrder, target: Target
) -> None:
    wanted = order(target)
    site.deploy(wanted)
    site.google.things[site.thing(wanted).name]["labels"] = {"managed-by": "terraform"}
    for act in (site.deploy, site.delete):
        with pytest.raises(CloudError, match=r"did not make, so it is left alone; .* --name"):
            act(wanted)
    assert site.thing(wanted).find()


def test_a_function_s_own_service_is_not_taken_for_a_cloud_run_deploy(
    site: Site, order: MakeOrder
) -> None:
    wanted = order(Target.CLOUD_FUNCTIONS, name="same")
    site.deploy(wanted)
    below = site.google.things["projects/my-project/locations/us-central1/functions/same"]
    name = "projects/my-project/locations/us-central1/services/same"
    site.google.things[name] = {"name": name, "labels": below["labels"]}
    with pytest.raises(CloudError, match="did not make"):
        site.delete(order(Target.CLOUD_RUN, name="same"))


def test_too_many_requests_are_asked_again_more_and_more_slowly(
    site: Site, order: MakeOrder
) -> None:
    for method, path in (("POST", "/services$"), ("GET", "/operations/"), ("GET", "/services/")):
        site.google.faults.append(site.fault(method, path, 429, times=2))
    assert site.deploy(order(Target.CLOUD_RUN)).change is Change.CREATED
    assert not any(fault.times for fault in site.google.faults)


@BOTH
@pytest.mark.parametrize("what", ["lost", "unheard", 503])
def test_a_connection_that_breaks_makes_one_thing_and_no_error(
    site: Site, order: MakeOrder, target: Target, what: Any
) -> None:
    site.google.faults += [
        site.fault("GET", "/(services|functions)/", "lost"),
        site.fault("POST", "/(services|functions)$", what),
        site.fault("GET", "/operations/", what),
        site.fault("PUT", "/upload/", what),
    ]
    assert site.deploy(order(target)).change is Change.CREATED
    assert [fault.times for fault in site.google.faults[:2]] == [0, 0]
    assert site.deploy(order(target)).change is Change.UNCHANGED


def test_an_update_whose_answer_was_lost_is_one_update(site: Site, order: MakeOrder) -> None:
    site.deploy(order(Target.CLOUD_RUN))
    site.google.faults.append(site.fault("PATCH", "/services/", "unheard"))
    assert site.deploy(order(Target.CLOUD_RUN, max_instances=5)).change is Change.UPDATED
    assert site.google.things[SERVICE]["generation"] == "2"


FAILURES = [
    (("POST", "/services$", 403), "run.services.create; docs/deploy.md lists the roles", False),
    (("POST", "/services$", 409), "Another change of it is going on", False),
    (("POST", "/services$", 429), "repeated in vain; wait some minutes", False),
    (("POST", "/services$", "lost"), "Google cannot be reached to create the service", False),
    (("GET", "/operations/", 403), "refused to create the service", True),
    (("GET", "/operations/", "lost"), "Google cannot be reached to create", True),
    (("POST", ":setIamPolicy", 403), "run.services.setIamPolicy", True),
    (("POST", ":setIamPolicy", 400), "refused to make the service public", True),
    (("GET", "/services/[^:]*$", 403), "run.services.get", False),
    (("GET", "/services/", 401), "gcloud auth application-default login", False),
]


@pytest.mark.parametrize(("fault", "words", "exists"), FAILURES, ids=lambda x: str(x))
def test_a_failure_says_what_went_wrong_what_exists_and_how_to_go_on(
    site: Site, order: MakeOrder, fault: Any, words: str, exists: bool
) -> None:
    wanted = order(Target.CLOUD_RUN, public=True)
    site.google.faults.append(site.fault(*fault, times=1000))
    with pytest.raises(CloudError) as caught:
        site.deploy(wanted)
    text = str(caught.value)
    assert words in text
    assert text.endswith("To go on: AGAIN\nTo remove it: UNDO")
    assert (SERVICE in site.google.things) is exists
    if exists:
        assert f"By now there is: the service {SERVICE}" in text
    else:
        assert "By now there is: nothing that this command made" in text
    # And so it goes on once the trouble is over.
    site.google.faults.clear()
    site.journal.made.clear()
    assert site.deploy(wanted).url
    assert site.deploy(wanted).change is Change.UNCHANGED


def test_an_api_that_is_not_enabled_is_said_so(site: Site, order: MakeOrder) -> None:
    message = "Cloud Run Admin API has not been used in project 1 before or it is disabled."
    site.google.faults.append(site.fault("GET", "/services/", 403, 1000, message))
    with pytest.raises(CloudError, match="gcloud services enable"):
        site.deploy(order(Target.CLOUD_RUN))


@BOTH
def test_an_operation_that_ends_badly_is_told_and_what_is_left(
    site: Site, order: MakeOrder, target: Target
) -> None:
    site.google.fails_with = "Revision 'x' is not ready: the image was not found"
    with pytest.raises(CloudError, match="the image was not found") as caught:
        site.deploy(order(target))
    assert "which does not serve this change" in str(caught.value)


@BOTH
def test_a_thing_that_never_gets_ready_is_no_success(
    site: Site, order: MakeOrder, target: Target
) -> None:
    site.google.broken = "The user-provided container failed to start and listen on PORT=8080"
    with pytest.raises(CloudError, match="failed to start and listen on PORT"):
        site.deploy(order(target))
    site.google.broken = ""
    site.journal.made.clear()
    assert site.deploy(order(target)).change is Change.UPDATED


def test_a_wait_that_takes_too_long_ends_and_says_that_it_goes_on(
    site: Site, order: MakeOrder, patience: Patience
) -> None:
    site.google.polls = 10_000
    site.api.patience = replace(patience, ready_s=0.1)
    with pytest.raises(CloudError, match=r"not done after 0.1 s, and goes on by itself"):
        site.deploy(order(Target.CLOUD_RUN))


def test_a_change_that_goes_on_is_waited_for(site: Site, order: MakeOrder, said: list[str]) -> None:
    wanted = order(Target.CLOUD_FUNCTIONS)
    site.deploy(wanted)
    looks = iter(["DEPLOYING", "DEPLOYING"])
    answered = site.google._get

    def get(*args: Any) -> Any:
        found = answered(*args)
        return found | {"state": next(looks, "ACTIVE")} if "state" in found else found

    site.google._get = get
    assert site.deploy(wanted).change is Change.UNCHANGED
    assert any("An earlier change of the function goes on" in line for line in said)


@BOTH
def test_deleting_takes_away_what_was_made_and_nothing_else(
    site: Site, order: MakeOrder, target: Target
) -> None:
    wanted, other = order(target), order(target, name="other")
    for each in (wanted, other):
        site.deploy(each)
    gone = site.delete(wanted)
    assert gone == [f"the {site.thing(wanted).word} {site.thing(wanted).name}"]
    assert set(site.google.things) == {site.thing(other).name}
    assert site.delete(wanted) == []


def test_images_go_with_their_service_and_the_repository_with_the_last(
    site: Site, order: MakeOrder
) -> None:
    first, second = order(Target.CLOUD_RUN, name="first"), order(Target.CLOUD_RUN, name="second")
    for each in (first, second):
        registry = Registry(site.api, each)
        assert registry.ensure(site.journal.waited) is (each is first)
        package = registry.package
        site.google.things[package] = {"name": package}
        site.google.things[f"{package}/tags/t1"] = {"name": f"{package}/tags/t1"}
        assert registry.has("t1")
        assert not registry.has("t2")
        site.deploy(each)
    assert len(site.delete(first)) == 2
    assert len(site.delete(second)) == 3
    assert site.google.things == {}


def test_a_repository_of_somebody_else_keeps_all_its_images(site: Site, order: MakeOrder) -> None:
    wanted = order(Target.CLOUD_RUN)
    registry = Registry(site.api, wanted)
    for name in (registry.name, registry.package):
        site.google.things[name] = {"name": name}
    site.deploy(wanted)
    assert len(site.delete(wanted)) == 1
    assert set(site.google.things) == {registry.name, registry.package}


def test_no_secret_is_in_what_is_said_or_marked(
    site: Site, order: MakeOrder, said: list[str]
) -> None:
    wanted = order(Target.CLOUD_FUNCTIONS, environment={"KEY": "s3cret-value"})
    site.google.faults.append(site.fault("PUT", "/upload/", 403))
    with pytest.raises(CloudError, match="the storage answered 403") as caught:
        site.deploy(wanted)
    assert "SIGNED" not in str(caught.value)
    site.deploy(wanted)
    sent = site.google.things[FUNCTION]
    assert sent["serviceConfig"]["environmentVariables"] == {"KEY": "s3cret-value"}
    assert not any(
        "s3cret" in line or "SIGNED" in line for line in [*said, *sent["labels"].values()]
    )
    other = order(Target.CLOUD_FUNCTIONS, environment={"KEY": "an0ther-value"})
    assert function_body(other)["labels"] == function_body(wanted)["labels"]
    assert site.deploy(other).change is Change.UPDATED
