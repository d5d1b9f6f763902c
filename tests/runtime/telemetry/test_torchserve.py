"""TorchServe's counters are valid for Prometheus' own parser."""

from prometheus_client.parser import text_string_to_metric_families

from runtime.telemetry import torchserve
from runtime.telemetry.measurements import ModelMeasurements, RunStats


def measured(model: str = "m", version: str = "1.0") -> ModelMeasurements:
    measurements = ModelMeasurements(model, version)
    measurements.record_request("predict", "ok", 0.5)
    measurements.record_request("torchserve", "ok", 0.25)
    measurements.record_request("torchserve", "invalid_input", 8.0)
    measurements.record_request("functions", "http_503", 8.0)
    measurements.record_request("torchserve_management", "ok", 100.0)
    measurements.record_run(RunStats(2, [0.5, 0.125], 0.0, 0.1))
    return measurements


def samples(text: bytes) -> dict[tuple[str, str], float]:
    """Return the values by name and model, without the suffix that the parser adds to some counters."""
    return {
        (sample.name.removesuffix("_total"), sample.labels.get("model_name", "")): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_the_inferences_of_all_protocols_are_counted_and_only_successes_count_in_the_latency() -> None:
    found = samples(torchserve.exposition([measured(), measured("n")], hostname="h"))
    assert found["ts_inference_requests", "n"] == 4
    assert found["ts_inference_latency_microseconds", "m"] == 750_000
    assert found["ts_queue_latency_microseconds", "m"] == 625_000
    assert [found[f"Requests{each}XX", ""] for each in (2, 4, 5)] == [6, 2, 2]


def test_a_counter_has_the_labels_model_version_and_host() -> None:
    text = torchserve.exposition([measured('m"\\', "2.0")], hostname="h").decode()
    [sample] = [
        sample
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "ts_inference_requests_total"
    ]
    assert sample.labels == {"model_name": 'm"\\', "model_version": "2.0", "hostname": "h"}
    assert 'ts_inference_latency_microseconds{model_name="m' in text
    assert "# TYPE ts_inference_latency_microseconds counter" in text.splitlines()


def test_only_the_requested_counters_are_exposed() -> None:
    names = {"ts_queue_latency_microseconds", "unknown"}
    text = torchserve.exposition([measured()], hostname="h", names=names)
    assert {name for name, _ in samples(text)} == {"ts_queue_latency_microseconds"}
    assert torchserve.exposition([measured()], hostname="h", names={"unknown"}) == b""
