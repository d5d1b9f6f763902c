"""The metadata of the server and of its models: documents for JSON over REST and messages over gRPC.

The keys are the names of the messages' fields. Sources: Open Inference Protocol, "Server Metadata" and "Model
Metadata"; Triton Inference Server, "Model Configuration", "Statistics" and "Model Repository" extensions.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from runtime.batching.policy import Limits
from runtime.errors import ScalezeroError
from runtime.model.signature import Signature
from runtime.protocols.open_inference.datatypes import datatype
from runtime.status import OK
from runtime.telemetry.histogram import Histogram
from runtime.telemetry.measurements import ModelMeasurements
from runtime.tensors import TensorSpec

_PLATFORM: Final = "onnxruntime_onnx"
_EXTENSIONS: Final = ("binary_tensor_data", "model_configuration", "statistics")
_ANY: Final = -1  # the size of a dynamic axis
_STATES: Final = {  # the state of a model -> Triton's state and the reason
    "ready": ("READY", ""),
    "loading": ("LOADING", ""),
    "not_loaded": ("UNAVAILABLE", "the first request loads it"),
    "failed": ("UNAVAILABLE", ""),
}


def server(version: str) -> dict[str, Any]:
    """Return the server's metadata; `version` is that of scalezero."""
    return {"name": "scalezero", "version": version, "extensions": list(_EXTENSIONS)}


def metadata(name: str, versions: Sequence[str], signature: Signature) -> dict[str, Any]:
    """Return the model's metadata; the shapes include the batch axis."""
    return {
        "name": name,
        "versions": list(versions),
        "platform": _PLATFORM,
        "inputs": [*map(_tensor, signature.inputs)],
        "outputs": [*map(_tensor, signature.outputs)],
    }


def config(name: str, signature: Signature, limits: Limits) -> dict[str, Any]:
    """Return Triton's ModelConfig. For a model with a batch axis, the dimensions omit it and `max_batch_size` is set.

    `max_batch_size` does not limit a request: a request of more rows has several runs. The document depends only on the
    model and its settings, not on what is measured later, so that clients may cache it.
    """
    rows = limits.batch_size if signature.batchable else 0
    document: dict[str, Any] = {
        "name": name,
        "platform": _PLATFORM,
        "backend": "onnxruntime",
        "version_policy": {"latest": {"num_versions": 1}},
        "max_batch_size": rows,
        "input": [_declared(spec, rows) | _optional(spec) for spec in signature.inputs],
        "output": [_declared(spec, rows) for spec in signature.outputs],
        "instance_group": [{"name": name, "kind": "KIND_CPU", "count": 1}],
        "model_transaction_policy": {"decoupled": False},
    }
    if rows:
        document["dynamic_batching"] = {"max_queue_delay_microseconds": round(limits.max_wait * 1e6)}
    return document


def statistics(name: str, version: str, measured: ModelMeasurements) -> dict[str, Any]:
    """Return Triton's ModelStatistics for all protocols together; durations are in nanoseconds.

    `compute_input` is the time to stack and to split batches, which is measured together.
    """
    measured.count()
    succeeded = [each for (_, code), each in measured.inferences.items() if code == OK]
    failed = [each for (_, code), each in measured.inferences.items() if code != OK]
    return {
        "name": name,
        "version": version,
        "last_inference": round(measured.last_run * 1e3),
        "inference_count": round(measured.batch_rows.total),
        "execution_count": _count(measured.run),
        "inference_stats": {
            "success": _duration(succeeded),
            "fail": _duration(failed),
            "queue": _duration([measured.queue]),
            "compute_input": _duration([measured.batch]),
            "compute_infer": _duration([measured.run]),
            "compute_output": _duration([]),
            "cache_hit": _duration([]),
            "cache_miss": _duration([]),
        },
        "batch_stats": [],
        "memory_usage": [],
    }


def entry(name: str, version: str, state: str, error: ScalezeroError | None) -> dict[str, str]:
    """Return the entry of a model in the repository index; `state` is one of `_STATES`."""
    word, reason = _STATES[state]
    return {"name": name, "version": version, "state": word, "reason": error.message if error else reason}


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    """Return the metadata of a tensor.

    One of unknown rank has one axis of any size: the protocol has no form for it.
    """
    sizes = [_ANY] if spec.shape is None else [*map(_size, spec.shape)]
    return {"name": spec.name, "datatype": datatype(spec) or spec.datatype, "shape": sizes}


def _declared(spec: TensorSpec, rows: int) -> dict[str, Any]:
    """Return an input or output of ModelConfig."""
    name = datatype(spec) or "INVALID"
    sizes = _tensor(spec)["shape"]
    kind = "TYPE_STRING" if name == "BYTES" else f"TYPE_{name}"
    return {"name": spec.name, "data_type": kind, "dims": sizes[1:] if rows else sizes}


def _optional(spec: TensorSpec) -> dict[str, bool]:
    return {"optional": True} if spec.kind == "optional" else {}


def _size(size: object) -> int:
    return size if isinstance(size, int) else _ANY


def _duration(histograms: Iterable[Histogram]) -> dict[str, int]:
    each = list(histograms)
    return {"count": sum(map(_count, each)), "ns": round(sum(one.total for one in each) * 1e9)}


def _count(histogram: Histogram) -> int:
    return histogram.cumulative()[-1][1]
