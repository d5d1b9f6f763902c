"""The metadata of the server and of its models; each document fits the message of its kind."""

import numpy as np

from runtime.batching.policy import Limits
from runtime.errors import QueueFull
from runtime.model.signature import Signature
from runtime.protocols.open_inference import documents
from runtime.protocols.protos import open_inference_config_pb2, open_inference_pb2
from runtime.telemetry.measurements import ModelMeasurements, RunStats
from tests.runtime.protocols.open_inference.signatures import DATATYPES, ONE, signature_of
from tests.runtime.tensor_specs import spec

LIMITS = Limits(batch_size=8, max_wait=0.002, timeout=1.0, queue_size=10, run_timeout=60.0)


def test_a_dynamic_axis_and_an_unknown_rank_have_the_size_minus_one() -> None:
    signature = Signature((spec("x", ("n", None, 3), "f4"),), (spec("y", None, object), spec("z", (), "i8")))
    document = documents.metadata("m", ["1", "2"], signature)
    assert document["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, -1, 3]}]
    assert document["outputs"] == [
        {"name": "y", "datatype": "BYTES", "shape": [-1]},
        {"name": "z", "datatype": "INT64", "shape": []},
    ]
    message = open_inference_pb2.ModelMetadataResponse(**document)
    assert (message.name, list(message.versions), message.platform) == ("m", ["1", "2"], "onnxruntime_onnx")


def test_a_value_without_a_datatype_has_scalezeros_description() -> None:
    signature = signature_of(spec("s", None, "f4", "sequence"))
    assert documents.metadata("m", ["1"], signature)["inputs"][0]["datatype"] == "sequence(float32)"
    assert documents.config("m", signature, LIMITS)["input"][0]["data_type"] == "TYPE_INVALID"


def test_every_datatype_has_a_type_in_the_configuration() -> None:
    signature = signature_of(*(spec(name, None, dtype) for name, dtype in DATATYPES.items()))
    document = documents.config("m", signature, LIMITS)
    message = open_inference_config_pb2.ModelConfig(**document)
    names = [open_inference_config_pb2.DataType.Name(each.data_type) for each in message.input]
    assert names == [f"TYPE_{name}".replace("BYTES", "STRING") for name in DATATYPES]


def test_the_configuration_omits_the_batch_axis() -> None:
    document = documents.config("m", ONE, LIMITS)
    assert (document["max_batch_size"], document["input"][0]["dims"]) == (8, [2])
    assert document["dynamic_batching"] == {"max_queue_delay_microseconds": 2000}
    fixed = documents.config("m", signature_of(spec("x", (4, 2), "f4")), LIMITS)
    assert (fixed["max_batch_size"], fixed["input"][0]["dims"]) == (0, [4, 2])
    assert "dynamic_batching" not in fixed


def test_an_optional_input_is_marked() -> None:
    [configured] = documents.config("m", Signature((spec("o", None, "f4", "optional"),), ()), LIMITS)["input"]
    assert configured["optional"] is True


def test_statistics_count_all_protocols() -> None:
    measured = ModelMeasurements("m", "1")
    measured.record_request("predict", "ok", 0.5)
    measured.record_request("open_inference", "ok", 0.25)
    measured.record_request("open_inference", "invalid_input", 0.125)
    measured.record_request("torchserve_management", "ok", 100.0)  # no inference
    measured.record_run(RunStats(3, [0.5, 0.25], 0.125, 2.0))
    document = documents.statistics("m", "1", measured)
    assert (document["inference_count"], document["execution_count"]) == (3, 1)
    stats = document["inference_stats"]
    assert stats["success"] == {"count": 2, "ns": 750_000_000}
    assert stats["fail"] == {"count": 1, "ns": 125_000_000}
    assert stats["queue"] == {"count": 2, "ns": 750_000_000}
    assert stats["compute_infer"] == {"count": 1, "ns": 2_000_000_000}
    assert document["last_inference"] == round(measured.last_run * 1000) > 1.7e12
    message = open_inference_pb2.ModelStatistics(**document)
    assert message.inference_stats.compute_input.ns == 125_000_000


def test_the_entry_of_a_model_that_is_not_ready_has_the_reason() -> None:
    assert documents.entry("m", "1", "ready", None) == {"name": "m", "version": "1", "state": "READY", "reason": ""}
    assert documents.entry("m", "", "not_loaded", None)["reason"] == "the first request loads it"
    failed = documents.entry("m", "", "failed", QueueFull(limit=1, retry_after=1))
    assert failed["state"] == "UNAVAILABLE"
    assert "1" in failed["reason"]


def test_the_server_lists_its_extensions_of_the_protocol() -> None:
    assert documents.server("9")["version"] == "9"
    assert "binary_tensor_data" in documents.server("9")["extensions"]
    assert np.all([isinstance(each, str) for each in documents.server("9")["extensions"]])
