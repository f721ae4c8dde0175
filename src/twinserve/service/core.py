"""What both deployments do: a request comes in as plain values, an answer goes out as plain
values."""

from __future__ import annotations

import base64
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from twinserve.bundle.engine import ImageGenerator
from twinserve.bundle.images import ImageFormat, Pixels, encode, grid
from twinserve.bundle.openvino_runtime import openvino
from twinserve.errors import InvalidField, MethodNotAllowed, NotFound, TwinserveError
from twinserve.service.models import ServedModels, models_of_environment
from twinserve.service.openapi import openapi_document
from twinserve.service.request import GenerateRequest, Layout, parse_request
from twinserve.service.start_up import StartClock, StartUp

JSON = "application/json"
log = logging.getLogger("twinserve.service")


@dataclass(frozen=True)
class Answer:
    """A response as plain values; an edge turns it into its framework's own."""

    status: int
    body: bytes
    media_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Timing:
    """Where the time of one request went, in ms."""

    queue_ms: float = 0.0
    load_ms: float = 0.0  # of a model that is asked for for the first time
    inference_ms: float = 0.0
    encode_ms: float = 0.0

    def header(self, process_ms: float) -> str:
        """The value of ``Server-Timing`` (W3C)."""
        parts = (
            ("process", process_ms),
            ("queue", self.queue_ms),
            *([("load", self.load_ms)] if self.load_ms else []),
            ("inference", self.inference_ms),
            ("encode", self.encode_ms),
        )
        return ", ".join(f"{name};dur={duration:.3f}" for name, duration in parts)


class ServiceCore:
    """Answers requests. Threads may call it at once; they take turns at the models."""

    def __init__(
        self,
        models: ServedModels,
        generate_paths: tuple[str, ...],
        start_up: StartUp = StartUp(),  # noqa: B008 - frozen
    ) -> None:
        self._models = models
        self._unsaid = start_up.timing  # goes with the first answer
        self._turn = threading.Lock()
        self._metrics = _Metrics()
        self._routes: dict[str, tuple[str, Callable[[], Answer]]] = {
            "/healthz": ("GET", lambda: _json({"status": "ok"})),
            "/readyz": (
                "GET",
                lambda: _json({"status": "ready", "model": models.default, "start": start_up}),
            ),
            "/metrics": ("GET", self._metrics.answer),
            "/models": ("GET", self._listed),
            "/openapi.json": ("GET", lambda: _json(openapi_document(models.names))),
        }
        self._generate_paths = generate_paths

    def answer(self, method: str, path: str, content_type: str, accept: str, body: bytes) -> Answer:
        """Answer any request; what goes wrong comes back as ``application/problem+json``."""
        begun = time.perf_counter()
        try:
            answer = self._routed(method, path, content_type, accept, body, begun)
        except TwinserveError as error:
            answer = problem(error)
        except Exception:
            log.exception("%s %s failed", method, path)
            answer = problem(TwinserveError("The service failed; its log says where."))
        self._metrics.count(path if answer.status != 404 else "unknown", answer.status)
        return answer

    def _routed(
        self, method: str, path: str, content_type: str, accept: str, body: bytes, begun: float
    ) -> Answer:
        if path in self._generate_paths:
            if method != "POST":
                raise MethodNotAllowed(method, path, ["POST"])
            request = parse_request(body, content_type, accept, self._models.names)
            return self._generate(request, begun)
        if path not in self._routes:
            raise NotFound(path, [*self._generate_paths, *self._routes])
        allowed, handler = self._routes[path]
        if method not in (allowed, "HEAD"):
            raise MethodNotAllowed(method, path, [allowed])
        return handler()

    def _generate(self, request: GenerateRequest, begun: float) -> Answer:
        timing = Timing()
        model = self._loaded(request.model, timing)
        if request.psi is not None and not model.truncates:
            raise InvalidField("psi", request.psi, f"nothing: {request.model} has no truncation")
        images = [self._image(model, request, k, timing) for k in range(request.num_images)]
        sheet, files = _encoded(images, request, timing)
        process_ms = (time.perf_counter() - begun) * 1000
        self._metrics.generated(len(images), process_ms)
        headers = {"Server-Timing": timing.header(process_ms) + self._start_said_once()}
        if request.as_file:
            return Answer(200, sheet or b"", request.image_format.media_type, headers)
        facts = {
            "src": _base64(sheet) if sheet else None,
            "images": [_base64(file) for file in files],
            "format": request.image_format.value,
            "time": round(process_ms, 3),
            "seed": request.seed,
            "model": model.facts.name,
            "resolution": model.facts.resolution,
        }
        return Answer(200, msgspec.json.encode(facts), JSON, headers)

    def _start_said_once(self) -> str:
        """How the start went, on the first picture's answer only."""
        with self._turn:
            said, self._unsaid = self._unsaid, ""
        return f", {said}" if said else ""

    def _loaded(self, name: str, timing: Timing) -> ImageGenerator:
        asked = time.perf_counter()
        with self._turn:
            begun = time.perf_counter()
            fresh = not self._models.is_loaded(name)
            model = self._models.load(name)
        timing.queue_ms += (begun - asked) * 1000
        timing.load_ms = (time.perf_counter() - begun) * 1000 if fresh else 0.0
        return model

    def _image(
        self, model: ImageGenerator, request: GenerateRequest, index: int, timing: Timing
    ) -> Pixels:
        asked = time.perf_counter()
        with self._turn:
            begun = time.perf_counter()
            image = model.image(request.seed, index, request.psi)
        timing.queue_ms += (begun - asked) * 1000
        timing.inference_ms += (time.perf_counter() - begun) * 1000
        return image

    def _listed(self) -> Answer:
        return _json({"models": self._models.facts, "default": self._models.default})


def open_core(generate_paths: tuple[str, ...] = ("/generate",)) -> ServiceCore:
    """The core for the models that the environment names, the default one compiled and run."""
    openvino()
    clock = StartClock()
    models = models_of_environment()
    clock.loaded()
    # First uses allocate and import; that belongs to the start, not to the first request.
    picture = models.load(models.default).image(0, 0)
    for image_format in ImageFormat:
        encode(picture, image_format)
    return ServiceCore(models, generate_paths, clock.ran())


def problem(error: TwinserveError) -> Answer:
    """An error as RFC 9457 asks."""
    body: dict[str, object] = {
        "type": "about:blank",
        "title": error.title,
        "status": error.http_status,
        "detail": str(error),
    }
    if isinstance(error, InvalidField):
        body |= {"field": error.field, "value": error.value, "allowed": error.allowed}
    headers = {"Allow": ", ".join(error.allowed)} if isinstance(error, MethodNotAllowed) else {}
    return Answer(error.http_status, msgspec.json.encode(body), "application/problem+json", headers)


def _encoded(
    images: list[Pixels], request: GenerateRequest, timing: Timing
) -> tuple[bytes | None, list[bytes]]:
    """The sheet and the single files that the request asks for; a sheet of one is that one file."""
    begun = time.perf_counter()
    want_list = request.layout is not Layout.GRID and not request.as_file
    want_sheet = request.layout is not Layout.LIST
    files = [encode(image, request.image_format) for image in images] if want_list else []
    sheet = None
    if want_sheet:
        alone = len(images) == 1 and files
        sheet = files[0] if alone else encode(grid(images), request.image_format)
    timing.encode_ms = (time.perf_counter() - begun) * 1000
    return sheet, files


def _json(value: object) -> Answer:
    return Answer(200, msgspec.json.encode(value))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


class _Metrics:
    """Counters of one core, in a registry of their own so that two cores may live in one
    process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "twinserve_requests", "Requests answered.", ["path", "status"], registry=self._registry
        )
        self._images = Counter("twinserve_images", "Images generated.", registry=self._registry)
        self._process = Histogram(
            "twinserve_process_seconds",
            "Time from a request's arrival to its answer, inside the service.",
            registry=self._registry,
            buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30),
        )

    def count(self, path: str, status: int) -> None:
        self._requests.labels(path, str(status)).inc()

    def generated(self, images: int, process_ms: float) -> None:
        self._images.inc(images)
        self._process.observe(process_ms / 1000)

    def answer(self) -> Answer:
        return Answer(200, generate_latest(self._registry), "text/plain; version=0.0.4")
