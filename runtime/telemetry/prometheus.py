"""The measurements in Prometheus' text format. Only this module imports prometheus_client, at the first scrape.

Source: Prometheus exposition formats, text format 0.0.4.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from runtime.status import fault_of
from runtime.telemetry.histogram import Histogram
from runtime.telemetry.measurements import LogCounts, ModelMeasurements

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from runtime.variants.choosing import Serving

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_LABELS = ("model", "version", "revision")
_PER_RUN = {
    "queue": ("scalezero_queue_seconds", "Time a request waited for its run"),
    "batch": ("scalezero_batch_seconds", "Time spent on stacking and splitting, per run"),
    "run": ("scalezero_run_seconds", "Time in the ONNX Runtime session, per run"),
    "batch_rows": ("scalezero_batch_rows", "Rows per run"),
}

_LOG = {
    "emitted": "Predictions that the sink accepted, or that are in the file",
    "dropped": "Predictions dropped because the queue was full or the process ended",
    "failed": "Predictions that the sink refused, or that could not be written",
}


def load() -> None:
    """Import what `exposition` needs. Any thread may call it, so that the event loop is not blocked."""
    import prometheus_client  # noqa: F401 - imported only to load it


def exposition(models: Sequence[ModelMeasurements], *, revision: str, log: LogCounts | None = None) -> bytes:
    """Return all measurements of this process, with the metrics of Python and of the process; `log`: if it is on."""
    from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest

    for model in models:
        model.count()
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    registry.register(_Models(models, revision))
    if log is not None:
        registry.register(_Log(log, revision))
    return generate_latest(registry)


class _Models:
    """A collector of prometheus_client for our measurements."""

    def __init__(self, models: Sequence[ModelMeasurements], revision: str) -> None:
        self._models = models
        self._revision = revision

    def collect(self) -> "Iterator[Metric]":
        yield self._requests()
        for attribute, (name, text) in _PER_RUN.items():
            yield self._histograms(name, text, ((model, getattr(model, attribute)) for model in self._models))
        yield self._cold_start()
        yield self._load_failures()
        yield self._batching()
        yield self._info()

    def describe(self) -> "Iterable[Metric]":
        return ()

    def _of(self, model: ModelMeasurements) -> list[str]:
        return [model.model, model.version, self._revision]

    def _requests(self) -> "Metric":
        from prometheus_client.core import HistogramMetricFamily

        family = HistogramMetricFamily(
            "scalezero_request_seconds",
            "Time from the arrival of a request to its response",
            labels=(*_LABELS, "protocol", "code", "fault"),
        )
        for model in self._models:
            for (protocol, code), histogram in model.requests.items():
                labels = [*self._of(model), protocol, code, fault_of(code).value]
                family.add_metric(labels, histogram.cumulative(), histogram.total)
        return family

    def _histograms(self, name: str, text: str, pairs: Iterable[tuple[ModelMeasurements, Histogram]]) -> "Metric":
        from prometheus_client.core import HistogramMetricFamily

        family = HistogramMetricFamily(name, text, labels=_LABELS)
        for model, histogram in pairs:
            family.add_metric(self._of(model), histogram.cumulative(), histogram.total)
        return family

    def _cold_start(self) -> "Metric":
        from prometheus_client.core import GaugeMetricFamily

        family = GaugeMetricFamily(
            "scalezero_cold_start_seconds",
            "Duration of each phase of the cold start, in seconds",
            labels=(*_LABELS, "phase"),
        )
        for model in self._models:
            for phase, seconds in model.cold_start.phases(0.0).items() if model.cold_start else ():
                family.add_metric([*self._of(model), phase], seconds)
        return family

    def _load_failures(self) -> "Metric":
        from prometheus_client.core import CounterMetricFamily

        family = CounterMetricFamily(
            "scalezero_model_load_failures", "Failed attempts to load the model", labels=(*_LABELS, "reason")
        )
        for model in self._models:
            for code, count in model.load_failures.items():
                family.add_metric([*self._of(model), code], count)
        return family

    def _batching(self) -> "Metric":
        from prometheus_client.core import GaugeMetricFamily

        family = GaugeMetricFamily(
            "scalezero_batching", "Whether requests share runs: 1 for the current state", labels=(*_LABELS, "state")
        )
        for model in self._models:
            if model.batching:
                family.add_metric([*self._of(model), model.batching], 1)
        return family

    def _info(self) -> "Metric":
        from prometheus_client.core import GaugeMetricFamily

        family = GaugeMetricFamily(
            "scalezero_model_info",
            "The variant that is served: 1. instead_of: the best variant, if that could not be served",
            labels=(*_LABELS, "variant", "provider", "precision", "prepared", "instead_of"),
        )
        for model in self._models:
            if model.serving:
                family.add_metric([*self._of(model), *_served(model.serving)], 1)
        return family


class _Log:
    """The counters of the prediction log."""

    def __init__(self, counts: LogCounts, revision: str) -> None:
        self._counts = counts
        self._revision = revision

    def collect(self) -> "Iterator[Metric]":
        from prometheus_client.core import CounterMetricFamily

        for name, text in _LOG.items():
            family = CounterMetricFamily(f"scalezero_prediction_log_{name}", text, labels=["revision"])
            family.add_metric([self._revision], getattr(self._counts, name))
            yield family

    def describe(self) -> "Iterable[Metric]":
        return ()


def _served(serving: "Serving") -> list[str]:
    candidate = serving.candidate
    best = serving.passed[0].variant if serving.passed else ""
    instead_of = best if best != candidate.variant else ""
    return [
        candidate.variant,
        candidate.provider,
        candidate.precision or "",
        str(candidate.prepared).lower(),
        instead_of,
    ]
