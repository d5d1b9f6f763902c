"""The condition of a ModelOptimization says what its model serves, and why."""

from typing import Any

import msgspec
import pytest

from knative.resources import ModelOptimization
from knative.resources.fields import Metadata
from knative.resources.model_optimization import ModelOptimizationSpec, Quantization
from knative.resources.optimized import OPTIMIZED, condition_of
from knative.resources.status import Condition
from runtime.variants.values import CPU_PROVIDER, OPENVINO_PROVIDER, Assessment, Measurement
from tests.assessments import assessment_of

MEASURED = "2026-11-28T12:00:00Z"
ORIGINAL = Measurement(variant="original", provider=CPU_PROVIDER, speedup=1.0, score=0.94, loss=0.0)
NNCF = Measurement(variant="int8-nncf", provider=CPU_PROVIDER, speedup=3.2, score=0.939, loss=0.001)
OPENVINO = Measurement(variant="openvino", provider=OPENVINO_PROVIDER, speedup=5.5, score=0.94, loss=0.0)


def optimization(**quantization: Any) -> ModelOptimization:  # noqa: ANN401 - fields of Quantization
    """Return the resource."""
    return ModelOptimization(
        api_version="ml.example.com/v1",
        kind="ModelOptimization",
        metadata=Metadata(name="m-quantization"),
        spec=ModelOptimizationSpec(model_name="m", quantization=Quantization(**quantization)),
    )


def assessment(chosen: str, *others: Measurement, metric: str | None = "auc") -> Assessment:
    """Return measurements of the original and of other candidates."""
    return assessment_of(
        (ORIGINAL, *others),
        chosen=chosen,
        measured_at=MEASURED,
        metric=metric,
        score=None if metric is None else 0.94,
        reason="nothing else was made",
    )


def rejected(name: str, why: str, *, speedup: float | None = None, loss: float | None = None) -> Measurement:
    """Return a candidate that is not chosen."""
    return Measurement(variant=name, provider=CPU_PROVIDER, speedup=speedup, loss=loss, rejected=why)


def judged(measured: Assessment, **quantization: Any) -> Condition:  # noqa: ANN401 - fields of Quantization
    """Return the condition."""
    return condition_of(measured, optimization(**quantization))


def test_a_chosen_int8_variant_makes_the_condition_true_with_its_numbers() -> None:
    condition = judged(assessment("int8-nncf", NNCF))
    assert (condition.type, condition.status, condition.reason) == (OPTIMIZED, "True", "Int8Chosen")
    assert condition.message == "on intel-amx, int8-nncf (3.20 x the original, auc -0.0010) is served"


def test_a_faster_variant_than_int8_makes_it_false_with_the_numbers_of_both() -> None:
    condition = judged(assessment("openvino", NNCF, OPENVINO))
    assert (condition.status, condition.reason) == ("False", "FasterVariantChosen")
    assert condition.message == (
        "on intel-amx, openvino (5.50 x the original, auc -0.0000) is served; "
        "int8-nncf (3.20 x the original, auc -0.0010)"
    )


@pytest.mark.parametrize(
    ("candidate", "metric", "reason"),
    [
        (rejected("int8-nncf", "too slow", speedup=0.6, loss=0.0), "auc", "NoFasterVariant"),
        (rejected("int8-nncf", "too slow", speedup=0.6), None, "NoFasterVariant"),
        (rejected("int8-nncf", "loses 0.02", speedup=3.0, loss=0.02), "auc", "AccuracyLossTooLarge"),
        (rejected("int8-nncf", "with 1 row it is slower", speedup=3.0, loss=0.001), "auc", "NoFasterVariant"),
        (
            rejected("int8-nncf", "in a quarter only 1.0 x", speedup=1.1, loss=0.01),
            "auc",
            "NoFasterVariant",
        ),
        (rejected("int8-nncf", "it is slow and loses 0.02", speedup=0.6, loss=0.02), "auc", "NoFasterVariant"),
        (rejected("int8-nncf", "no evaluation data", speedup=3.0), None, "AccuracyNotJudged"),
        (rejected("int8-nncf", "no operator can be quantized"), "auc", "NoInt8Candidate"),
        (rejected("int8-nncf", "no calibration data"), None, "AccuracyNotJudged"),
    ],
)
def test_a_kept_original_makes_it_false_with_the_reason_of_each_candidate(
    candidate: Measurement, metric: str | None, reason: str
) -> None:
    condition = judged(assessment("original", candidate, metric=metric))
    assert (condition.status, condition.reason) == ("False", reason)
    assert condition.message.startswith("on intel-amx, the original is served; int8-nncf")
    assert condition.message.endswith(f": {candidate.rejected}")


def test_without_candidates_the_reason_is_that_of_the_measurements() -> None:
    condition = judged(assessment("original"))
    assert (condition.reason, condition.message) == (
        "NoInt8Candidate",
        "on intel-amx, the original is served; nothing else was made",
    )


@pytest.mark.parametrize(
    ("bounds", "fault"),
    [({"max_accuracy_loss": 0.0005}, "maxAccuracyLoss is 0.0005"), ({"min_speedup": 4.0}, "minSpeedup is 4")],
)
def test_a_choice_outside_of_bounds_that_were_declared_later_is_reported(bounds: dict[str, float], fault: str) -> None:
    condition = judged(assessment("int8-nncf", NNCF), **bounds)
    assert (condition.status, condition.reason) == ("False", "OutsideBounds")
    assert f"is served, but {fault}" in condition.message
    assert "scalezero models measure --again" in condition.message


def test_a_choice_without_a_judged_accuracy_says_so() -> None:
    unjudged = Measurement(variant="int8-nncf", provider=CPU_PROVIDER, speedup=3.2)
    assert "accuracy not judged" in judged(assessment("int8-nncf", unjudged, metric=None)).message


def test_measurements_without_the_chosen_variant_count_as_a_kept_original() -> None:
    assert judged(assessment("int8-lost")).reason == "NoInt8Candidate"


@pytest.mark.parametrize(
    "measured", [assessment("int8-nncf", NNCF), assessment("original"), assessment("openvino", NNCF, OPENVINO)]
)
def test_each_condition_is_a_valid_condition_of_kubernetes_with_the_time_of_the_measurements(
    measured: Assessment,
) -> None:
    condition = judged(measured)
    assert msgspec.convert(msgspec.to_builtins(condition), Condition) == condition
    assert condition.last_transition_time == MEASURED
