"""What a scrape answers is what Prometheus' own parser reads, and the numbers are ours."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from runtime.telemetry import prometheus
from runtime.telemetry.measurements import ColdStart, ModelMeasurements, RunFacts

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scraped(*models: ModelMeasurements, revision: str = "payment-model-v1") -> Samples:
    """Every sample by its name and labels."""
    text = prometheus.exposition(models, revision=revision).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def measured(model: str = "payment-model") -> ModelMeasurements:
    measurements = ModelMeasurements(model, "1.0.0")
    measurements.answered("predict", "ok", 0.002)
    measurements.answered("predict", "invalid_input", 0.0002)
    measurements.ran(RunFacts(rows=3, queued=[0.0, 0.1, 0.2], batched=0.001, ran=0.02))
    measurements.load_failures["artifact_missing"] = 2
    measurements.batching = "refuted"
    return measurements


def label(**more: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted({"model": "payment-model", "version": "1.0.0", "revision": "payment-model-v1", **more}.items()))


def test_every_number_is_found_under_model_version_and_revision() -> None:
    samples = scraped(measured())
    answered = label(protocol="predict", code="ok", fault="none")
    assert samples["scalezero_request_seconds_count", answered] == 1
    assert samples["scalezero_request_seconds_sum", answered] == pytest.approx(0.002)
    assert (
        samples["scalezero_request_seconds_bucket", label(protocol="predict", code="ok", fault="none", le="0.0025")]
        == 1
    )
    assert (
        samples["scalezero_request_seconds_bucket", label(protocol="predict", code="ok", fault="none", le="0.001")] == 0
    )
    refused = label(protocol="predict", code="invalid_input", fault="client")
    assert samples["scalezero_request_seconds_count", refused] == 1
    assert samples["scalezero_queue_seconds_count", label()] == 3
    assert samples["scalezero_run_seconds_count", label()] == 1
    assert samples["scalezero_batch_rows_sum", label()] == 3
    assert samples["scalezero_batch_seconds_count", label()] == 1
    assert samples["scalezero_model_load_failures_total", label(reason="artifact_missing")] == 2


def test_the_process_tells_of_itself() -> None:
    names = {name for name, _ in scraped(measured())}
    assert {"process_resident_memory_bytes", "process_cpu_seconds_total", "python_info"} <= names


def test_phases_of_a_cold_start_are_gauges() -> None:
    measurements = measured()
    measurements.cold_start = ColdStart(
        process_started=1.0, imported=1.5, begun=1.0, pulled=1.7, verified=1.7, opened=1.8, ready=2.0, pull_seconds=0.4
    )
    samples = scraped(measurements)
    assert samples["scalezero_cold_start_seconds", label(phase="import")] == pytest.approx(0.5)
    phases = ("import", "idle", "pull", "verify", "session", "warmup")
    assert sum(samples["scalezero_cold_start_seconds", label(phase=phase)] for phase in phases) == pytest.approx(1.0)


def test_a_model_that_nobody_asked_yet_is_scraped_too() -> None:
    assert ("scalezero_run_seconds_count", label(version="")) in scraped(ModelMeasurements("payment-model", ""))


def test_several_models_share_each_metric() -> None:
    samples = scraped(measured("a"), measured("b"))
    found = [dict(labels)["model"] for name, labels in samples if name == "scalezero_run_seconds_count"]
    assert sorted(found) == ["a", "b"]


def test_labels_that_need_escaping_come_back_as_they_were() -> None:
    odd = 'quote " backslash \\ newline \n'
    samples = scraped(measured(odd), revision=odd)
    found = {dict(labels)["model"] for name, labels in samples if name == "scalezero_run_seconds_count"}
    assert found == {odd}


def test_whether_requests_share_runs_is_told_by_the_state_that_holds() -> None:
    assert scraped(measured())["scalezero_batching", label(state="refuted")] == 1
    assert not any(name == "scalezero_batching" for name, _ in scraped(ModelMeasurements("m", "1")))
