"""TorchServe's counters, as Prometheus' own parser reads them."""

from prometheus_client.parser import text_string_to_metric_families

from runtime.telemetry import torchserve
from runtime.telemetry.measurements import ModelMeasurements, RunFacts


def measured(model: str = "m", version: str = "1.0") -> ModelMeasurements:
    measurements = ModelMeasurements(model, version)
    measurements.answered("predict", "ok", 0.5)
    measurements.answered("torchserve", "ok", 0.25)
    measurements.answered("torchserve", "invalid_input", 8.0)
    measurements.answered("functions", "http_503", 8.0)
    measurements.ran(RunFacts(2, [0.5, 0.125], 0.0, 0.1))
    return measurements


def samples(text: bytes) -> dict[tuple[str, str], float]:
    """The values by name and model; the parser adds a suffix to a counter that has none."""
    return {
        (sample.name.removesuffix("_total"), sample.labels.get("model_name", "")): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_requests_of_all_protocols_count_and_answers_have_their_time() -> None:
    found = samples(torchserve.exposition([measured(), measured("n")], hostname="h"))
    assert found["ts_inference_requests", "n"] == 4
    assert found["ts_inference_latency_microseconds", "m"] == 750_000
    assert found["ts_queue_latency_microseconds", "m"] == 625_000
    assert [found[f"Requests{each}XX", ""] for each in (2, 4, 5)] == [4, 2, 2]


def test_a_counter_names_model_version_and_host() -> None:
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


def test_only_the_counters_that_are_asked_for_are_shown() -> None:
    names = {"ts_queue_latency_microseconds", "unknown"}
    text = torchserve.exposition([measured()], hostname="h", names=names)
    assert {name for name, _ in samples(text)} == {"ts_queue_latency_microseconds"}
    assert torchserve.exposition([measured()], hostname="h", names={"unknown"}) == b""
