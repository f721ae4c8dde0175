"""A workload as a JMeter test plan (JMX): pure.

A thread group is a block; JMeter runs them one after the other, in the seeded order. The plan opens
in JMeter's own window like any other.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element, SubElement, indent, tostring

import msgspec

from twinserve.errors import UsageError
from twinserve.load.plan import draw_blocks, request_seeds
from twinserve.load.sender import TIMEOUT_S
from twinserve.records.samples import Phase
from twinserve.workload import Workload

# What a sample keeps besides JMeter's own columns, as `sample_variables`.
VARIABLES = ("seed", "timing_1", "timing_2", "instance")
# Requests of one user have consecutive seeds; each user has this many of its own.
SEEDS_A_USER = 1_000_000
FROM_HEADERS = {
    "timing_1": ("(?i)Server-Timing: *([^\\r\\n]+)", 1),  # the service's
    "timing_2": ("(?i)Server-Timing: *([^\\r\\n]+)", 2),  # the gateway's
    "instance": ("(?i)X-Twinserve-Instance: *([^\\r\\n]+)", 1),
}


@dataclass(frozen=True)
class Group:
    """One thread group: a side's warm-up, or a block."""

    side: str
    phase: Phase
    block: int  # -1 for a warm-up
    pair: int
    duration_s: int

    @property
    def name(self) -> str:
        return f"warm-up: {self.side}" if self.block < 0 else f"block {self.block}: {self.side}"


@dataclass(frozen=True)
class Place:
    """Where a row belongs, read from its thread's name."""

    side: str
    phase: Phase
    block: int
    user: int


def whole_seconds(workload: Workload) -> Workload:
    """JMeter's durations are whole seconds: blocks and warm-up are rounded up."""
    return msgspec.structs.replace(
        workload, block_s=float(_seconds(workload.block_s)), warmup_s=_warmup(workload.warmup_s)
    )


def check_can_run(workload: Workload) -> None:
    """Returns if a plan of ours can say this workload.

    Raises:
        UsageError: it cannot; the message names what is in the way.
    """
    for what in in_the_way(workload):
        raise UsageError(
            f"The workload {workload.profile!r} is not for --load-tool jmeter: {what}. JMeter "
            f"runs closed loops of one kind of request; take --load-tool twinserve."
        )


def in_the_way(workload: Workload) -> list[str]:
    """What of a workload a plan of ours cannot say; nothing where it can."""
    ask = workload.mix[0]
    found = (
        (workload.is_open, "its requests are due whether earlier ones are answered or not"),
        (workload.cold, "it waits for deployments without an instance"),
        (workload.concurrent, "both sides are loaded at the same time"),
        (workload.ramp_s > 0, "its users ramp up before each block"),
        (len(workload.mix) > 1, "it mixes several kinds of request"),
        (ask.format != "json" or bool(ask.bodies), "it asks for more than images in JSON"),
    )
    return [what for holds, what in found if holds]


def groups(names: Sequence[str], workload: Workload, repeat: int = 0) -> list[Group]:
    """The thread groups in the order in which they run: warm-ups, then groups of adjacent
    blocks."""
    warm_s = int(_warmup(workload.warmup_s))
    warm = [Group(side, Phase.WARMUP, -1, -1, warm_s) for side in names] if warm_s else []
    length_s = _seconds(workload.block_s)
    drawn = draw_blocks(names, workload.blocks, workload.seed, repeat)
    return warm + [Group(b.side, Phase.BLOCK, b.index, b.pair, length_s) for b in drawn]


def write_plan(
    urls: Mapping[str, str],
    workload: Workload,
    users: int,
    headers: Mapping[str, str] | None = None,
    repeat: int = 0,
) -> bytes:
    """The JMX of a workload against the deployments at ``urls`` (side -> URL without path).

    ``users`` is how many of them one JMeter host runs.
    """
    root = Element("jmeterTestPlan", version="1.2", properties="5.0", jmeter="5.5")
    plan = _add(SubElement(root, "hashTree"), "TestPlan", "TestPlanGui", _title(workload))
    _prop(plan.element, "boolProp", "TestPlan.functional_mode", False)
    _prop(plan.element, "boolProp", "TestPlan.serialize_threadgroups", True)
    _arguments(plan.element, "TestPlan.user_defined_variables")
    _headers(plan.tree, {"Content-Type": "application/json"} | dict(headers or {}))
    for name, (expression, number) in FROM_HEADERS.items():
        _extractor(plan.tree, name, expression, number)
    for group in groups(list(urls), workload, repeat):
        _group(plan.tree, group, urls[group.side], workload, users)
    indent(root)
    text: bytes = tostring(root, encoding="UTF-8", xml_declaration=True)
    return text + b"\n"


def label(group: Group) -> str:
    """The label of its rows, by which others than we can leave the warm-up out."""
    return f"{group.side} {'warm-up' if group.phase is Phase.WARMUP else 'generate'}"


def place_of(thread: str, users_a_host: int, hosts: Mapping[str, int]) -> Place | None:
    """What a thread's name tells: "block 3: container 5-2" is user 1; None for other names.

    On remote hosts it begins with the host's name; ``hosts`` numbers those that were seen.
    """
    found = _THREAD.fullmatch(thread)
    if not found:
        return None
    block = int(found["block"]) if found["block"] else -1
    host = hosts.get(found["host"] or "", 0)
    return Place(
        side=found["side"],
        phase=Phase.BLOCK if found["block"] else Phase.WARMUP,
        block=block,
        user=host * users_a_host + int(found["thread"]) - 1,
    )


def host_of(thread: str) -> str:
    """The remote host that a thread ran on; empty on this machine."""
    found = _THREAD.fullmatch(thread)
    return (found["host"] or "") if found else ""


def shared_users(users: int, hosts: int) -> int:
    """How many users each remote host runs.

    Raises:
        UsageError: they cannot be shared evenly.
    """
    if hosts and users % hosts:
        below, above = users // hosts * hosts, (users // hosts + 1) * hosts
        allowed = f"{below} or {above}" if below else f"{above}"
        raise UsageError(
            f"{users} users cannot be shared evenly by {hosts} JMeter hosts; ask for {allowed}."
        )
    return users // max(hosts, 1)


_THREAD = re.compile(
    r"(?:(?P<host>.+?)-)?(?:warm-up|block (?P<block>\d+)): (?P<side>.*) \d+-(?P<thread>\d+)"
)


def _seconds(seconds: float) -> int:
    return max(1, math.ceil(round(seconds, 6)))


def _warmup(seconds: float) -> float:
    return float(_seconds(seconds)) if seconds > 0 else 0.0


def _title(workload: Workload) -> str:
    return (
        f"Twinserve: {workload.users} users, {workload.blocks} blocks of "
        f"{_seconds(workload.block_s)} s a side, seed {workload.seed}"
    )


@dataclass(frozen=True)
class _Node:
    """An element of a plan, and the tree in which its children stand."""

    element: Element
    tree: Element


def _add(parent: Element, kind: str, gui: str, name: str) -> _Node:
    element = SubElement(parent, kind, guiclass=gui, testclass=kind, testname=name, enabled="true")
    return _Node(element, SubElement(parent, "hashTree"))


def _prop(element: Element, kind: str, name: str, value: object) -> None:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    SubElement(element, kind, name=name).text = text


def _arguments(element: Element, name: str) -> Element:
    holder = SubElement(
        element, "elementProp", name=name, elementType="Arguments",
        guiclass="ArgumentsPanel", testclass="Arguments", enabled="true",
    )  # fmt: skip
    return SubElement(holder, "collectionProp", name="Arguments.arguments")


def _headers(tree: Element, headers: Mapping[str, str]) -> None:
    manager = _add(tree, "HeaderManager", "HeaderPanel", "Headers").element
    collection = SubElement(manager, "collectionProp", name="HeaderManager.headers")
    for name, value in headers.items():
        header = SubElement(collection, "elementProp", name="", elementType="Header")
        _prop(header, "stringProp", "Header.name", name)
        _prop(header, "stringProp", "Header.value", value)


def _extractor(tree: Element, name: str, expression: str, number: int) -> None:
    """Keep what a header of the answer says, empty where it says nothing."""
    found = _add(tree, "RegexExtractor", "RegexExtractorGui", f"Header to {name}").element
    _prop(found, "stringProp", "RegexExtractor.useHeaders", True)
    _prop(found, "stringProp", "RegexExtractor.refname", name)
    _prop(found, "stringProp", "RegexExtractor.regex", expression)
    _prop(found, "stringProp", "RegexExtractor.template", "$1$")
    _prop(found, "stringProp", "RegexExtractor.default", "")
    _prop(found, "boolProp", "RegexExtractor.default_empty_value", True)
    _prop(found, "stringProp", "RegexExtractor.match_number", number)


def _group(tree: Element, group: Group, url: str, workload: Workload, users: int) -> None:
    """Users of a closed loop for as long as the block goes on."""
    node = _add(tree, "ThreadGroup", "ThreadGroupGui", group.name)
    element = node.element
    _prop(element, "stringProp", "ThreadGroup.on_sample_error", "continue")
    loop = SubElement(
        element, "elementProp", name="ThreadGroup.main_controller", elementType="LoopController",
        guiclass="LoopControlPanel", testclass="LoopController", enabled="true",
    )  # fmt: skip
    _prop(loop, "boolProp", "LoopController.continue_forever", False)
    _prop(loop, "intProp", "LoopController.loops", -1)
    _prop(element, "stringProp", "ThreadGroup.num_threads", users)
    _prop(element, "stringProp", "ThreadGroup.ramp_time", 0)
    _prop(element, "boolProp", "ThreadGroup.scheduler", True)
    _prop(element, "stringProp", "ThreadGroup.duration", group.duration_s)
    _prop(element, "stringProp", "ThreadGroup.delay", 0)
    _prop(element, "boolProp", "ThreadGroup.same_user_on_next_iteration", False)
    _counter(node.tree, next(request_seeds(workload.seed, group.pair, 0)))
    if workload.think_s:
        timer = _add(node.tree, "ConstantTimer", "ConstantTimerGui", "Think").element
        _prop(timer, "stringProp", "ConstantTimer.delay", round(1000 * workload.think_s))
    _sampler(node.tree, label(group), url, workload.mix[0].images)


def _counter(tree: Element, first: int) -> None:
    """Counts a user's requests from the pair's first seed on, in the variable ``n``."""
    counter = _add(tree, "CounterConfig", "CounterConfigGui", "Requests").element
    _prop(counter, "stringProp", "CounterConfig.start", first)
    _prop(counter, "stringProp", "CounterConfig.end", "")
    _prop(counter, "stringProp", "CounterConfig.incr", 1)
    _prop(counter, "stringProp", "CounterConfig.name", "n")
    _prop(counter, "stringProp", "CounterConfig.format", "")
    _prop(counter, "boolProp", "CounterConfig.per_user", True)


def _sampler(tree: Element, name: str, url: str, images: int) -> None:
    """POST /generate over a connection of its own."""
    parts = urlsplit(url)
    sampler = _add(tree, "HTTPSamplerProxy", "HttpTestSampleGui", name).element
    _prop(sampler, "boolProp", "HTTPSampler.postBodyRaw", True)
    body = SubElement(
        _arguments(sampler, "HTTPsampler.Arguments"),
        "elementProp", name="", elementType="HTTPArgument",
    )  # fmt: skip
    _prop(body, "boolProp", "HTTPArgument.always_encode", False)
    # Equal for both blocks of a pair, and of no two users; the function keeps it as `seed`.
    seed = f"${{__longSum(${{n}},${{__threadNum}}{str(SEEDS_A_USER)[1:]},seed)}}"
    _prop(body, "stringProp", "Argument.value", f'{{"num_images":{images},"seed":{seed}}}')
    _prop(body, "stringProp", "Argument.metadata", "=")
    port = parts.port or {"https": 443}.get(parts.scheme, 80)
    for name, value in (
        ("domain", parts.hostname or ""),
        ("port", port),
        ("protocol", parts.scheme),
        ("contentEncoding", "UTF-8"),
        ("path", f"{parts.path.rstrip('/')}/generate"),
        ("method", "POST"),
        ("implementation", "HttpClient4"),
        ("connect_timeout", round(1000 * TIMEOUT_S)),
        ("response_timeout", round(1000 * TIMEOUT_S)),
    ):
        _prop(sampler, "stringProp", f"HTTPSampler.{name}", value)
    _prop(sampler, "boolProp", "HTTPSampler.follow_redirects", False)
    _prop(sampler, "boolProp", "HTTPSampler.auto_redirects", False)
    _prop(sampler, "boolProp", "HTTPSampler.use_keepalive", False)
