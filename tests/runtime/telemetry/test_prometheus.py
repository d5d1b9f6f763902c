"""The metrics are valid for Prometheus' own parser, and have the measured values."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from runtime.telemetry import prometheus
from runtime.telemetry.measurements import ColdStart, ModelMeasurements, RunStats
from runtime.variants.choosing import LoadCandidate, Passed, Serving

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scraped(*models: ModelMeasurements, revision: str = "payment-model-v1") -> Samples:
    """Return every sample by its name and labels."""
    text = prometheus.exposition(models, revision=revision).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def measured(model: str = "payment-model") -> ModelMeasurements:
    measurements = ModelMeasurements(model, "1.0.0")
    measurements.record_request("predict", "ok", 0.002)
    measurements.record_request("predict", "invalid_input", 0.0002)
    measurements.record_run(RunStats(rows=3, queued=[0.0, 0.1, 0.2], batched=0.001, ran=0.02))
    measurements.load_failures["artifact_missing"] = 2
    measurements.batching = "refuted"
    return measurements


def label(**more: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted({"model": "payment-model", "version": "1.0.0", "revision": "payment-model-v1", **more}.items()))


def test_every_metric_has_the_labels_model_version_and_revision() -> None:
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


def test_metrics_of_the_process_and_of_python_are_exposed() -> None:
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


def test_a_model_without_requests_is_exposed() -> None:
    assert ("scalezero_run_seconds_count", label(version="")) in scraped(ModelMeasurements("payment-model", ""))


def test_several_models_share_each_metric() -> None:
    samples = scraped(measured("a"), measured("b"))
    found = [dict(labels)["model"] for name, labels in samples if name == "scalezero_run_seconds_count"]
    assert sorted(found) == ["a", "b"]


def test_labels_are_escaped() -> None:
    odd = 'quote " backslash \\ newline \n'
    samples = scraped(measured(odd), revision=odd)
    found = {dict(labels)["model"] for name, labels in samples if name == "scalezero_run_seconds_count"}
    assert found == {odd}


def test_the_batching_gauge_is_1_for_the_current_state() -> None:
    assert scraped(measured())["scalezero_batching", label(state="refuted")] == 1
    assert not any(name == "scalezero_batching" for name, _ in scraped(ModelMeasurements("m", "1")))


def served(serving: Serving) -> dict[str, str]:
    """Return the labels of the metric of the served variant that are not those of all metrics."""
    measurements = ModelMeasurements("payment-model", "1.0.0")
    measurements.serving = serving
    [labels] = [dict(labels) for name, labels in scraped(measurements) if name == "scalezero_model_info"]
    return {name: value for name, value in labels.items() if name not in dict(label())}


def test_the_served_variant_and_the_one_that_it_replaces_are_labels() -> None:
    candidate = LoadCandidate("int8-dynamic", precision="int8")
    passed = (Passed("int8-nncf", prepared=True, reason="gone"), Passed("int8-nncf", prepared=False, reason="gone"))
    assert served(Serving(candidate, "", passed)) == {
        "variant": "int8-dynamic",
        "provider": "CPUExecutionProvider",
        "precision": "int8",
        "prepared": "false",
        "instead_of": "int8-nncf",
    }


def test_a_variant_does_not_replace_its_own_prepared_form() -> None:
    labels = served(Serving(LoadCandidate(), "", (Passed("original", prepared=True, reason="gone"),)))
    assert (labels["variant"], labels["prepared"], labels["instead_of"]) == ("original", "false", "")


def test_a_model_that_is_not_loaded_has_no_variant() -> None:
    assert not any(name == "scalezero_model_info" for name, _ in scraped(ModelMeasurements("m", "1")))
