"""The measurements in Prometheus' text format. The only module that imports prometheus_client, at the first scrape.

Source: Prometheus exposition formats, text format 0.0.4.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from runtime.status import fault_of
from runtime.telemetry.histogram import Histogram
from runtime.telemetry.measurements import ModelMeasurements

if TYPE_CHECKING:
    from prometheus_client.core import Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_LABELS = ("model", "version", "revision")
_PER_RUN = {
    "queue": ("scalezero_queue_seconds", "Time a request waited for its run"),
    "batch": ("scalezero_batch_seconds", "Time spent on stacking and splitting, per run"),
    "run": ("scalezero_run_seconds", "Time in the ONNX Runtime session, per run"),
    "batch_rows": ("scalezero_batch_rows", "Rows per run"),
}


def load() -> None:
    """Import what `exposition` needs."""
    import prometheus_client  # noqa: F401 - from any thread, so that the event loop goes on


def exposition(models: Sequence[ModelMeasurements], *, revision: str) -> bytes:
    """All measurements of this process, with Python's and the process' own."""
    from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest

    for model in models:
        model.count()
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    registry.register(_Models(models, revision))
    return generate_latest(registry)


class _Models:
    """prometheus_client's collector protocol over our numbers."""

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

    def describe(self) -> "Iterable[Metric]":
        return ()

    def _of(self, model: ModelMeasurements) -> list[str]:
        return [model.model, model.version, self._revision]

    def _requests(self) -> "Metric":
        from prometheus_client.core import HistogramMetricFamily

        family = HistogramMetricFamily(
            "scalezero_request_seconds",
            "Time from a request's arrival to its answer",
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
            "scalezero_cold_start_seconds", "Phases of the way to a loaded model", labels=(*_LABELS, "phase")
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
            "scalezero_batching", "Whether requests share runs: 1 for the state that holds", labels=(*_LABELS, "state")
        )
        for model in self._models:
            if model.batching:
                family.add_metric([*self._of(model), model.batching], 1)
        return family
