"""The measurements under the names of TorchServe's metrics API in its Prometheus mode. Pure.

TorchServe exposes its counters without the suffix `_total` that prometheus_client adds, so the text is written here.
Sources: pytorch/serve, docs/metrics.md and ts/configs/metrics.yaml; Prometheus exposition formats, text format 0.0.4.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

from runtime.status import OK, http_of
from runtime.telemetry.measurements import ModelMeasurements

Labels: TypeAlias = tuple[tuple[str, str], ...]
_MICRO: Final = 1e6
_CLASSES: Final = (2, 4, 5)  # the classes of HTTP statuses: 2xx, 4xx, 5xx
_ESCAPES: Final = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


class _Family(NamedTuple):
    """One counter: its name, its help text, and its values by labels."""

    name: str
    text: str
    values: Mapping[Labels, float]


def exposition(models: Sequence[ModelMeasurements], *, hostname: str, names: Collection[str] = ()) -> bytes:
    """Return the counters of these models; `names`: only these counters, if any are given."""
    for model in models:
        model.count()
    families = (each for each in _families(models, hostname) if not names or each.name in names)
    return "".join(line for family in families for line in _lines(family)).encode()


def _families(models: Sequence[ModelMeasurements], hostname: str) -> Iterator[_Family]:
    requests: dict[Labels, float] = {}
    latency: dict[Labels, float] = {}
    queued: dict[Labels, float] = {}
    answers: Counter[int] = Counter()
    for model in models:
        labels = (("model_name", model.model), ("model_version", model.version), ("hostname", hostname))
        counts = {kind: histogram.cumulative()[-1][1] for kind, histogram in model.requests.items()}
        inferences = model.inferences
        requests[labels] = sum(counts[kind] for kind in inferences)
        latency[labels] = _MICRO * sum(each.total for (_, code), each in inferences.items() if code == OK)
        queued[labels] = _MICRO * model.queue.total
        for (_, code), count in counts.items():
            answers[http_of(code) // 100] += count
    yield _Family("ts_inference_requests_total", "Total number of inference requests.", requests)
    yield _Family("ts_inference_latency_microseconds", "Cumulative inference duration in microseconds", latency)
    yield _Family("ts_queue_latency_microseconds", "Cumulative queue duration in microseconds", queued)
    host = (("Level", "Host"), ("Hostname", hostname))
    for each in _CLASSES:
        text = f"Total number of requests with response in {each}00-{each}99 status code range"
        yield _Family(f"Requests{each}XX", text, {host: answers[each]})


def _lines(family: _Family) -> Iterator[str]:
    yield f"# HELP {family.name} {family.text}\n# TYPE {family.name} counter\n"
    for labels, value in family.values.items():
        shown = ",".join(f'{name}="{text.translate(_ESCAPES)}"' for name, text in labels)
        yield f"{family.name}{{{shown}}} {value!r}\n"
