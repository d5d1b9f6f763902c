"""The condition `Optimized` of a ModelOptimization: what its model serves on one CPU class, and why. Pure.

    True     Int8Chosen
    False    FasterVariantChosen  NoFasterVariant  AccuracyLossTooLarge  AccuracyNotJudged  NoInt8Candidate
             OutsideBounds

`publish` and `deploy` print it after a measurement, and `check` if it is not True; a controller can write it into the
status of the resource. A model that is not measured, or whose resource is not enabled, has no condition.
"""

from collections.abc import Iterable, Sequence
from typing import Final, Literal, NamedTuple

from knative.resources.model_optimization import ModelOptimization, Quantization
from knative.resources.status import Condition
from runtime.variants.values import ORIGINAL, Assessment, Measurement

OPTIMIZED: Final = "Optimized"  # the type of the condition
_INT8: Final = "int8"  # the names of all int8 variants start with it


class _Judgement(NamedTuple):
    status: Literal["True", "False"]
    reason: str
    message: str


def condition_of(assessment: Assessment, optimization: ModelOptimization) -> Condition:
    """Return the condition for one version of the model on one CPU class, which `assessment` has the measurements of.

    Its time is that of the measurements.
    """
    judged = _judge(assessment, optimization.spec.quantization)
    return Condition(
        type=OPTIMIZED,
        status=judged.status,
        reason=judged.reason,
        message=judged.message,
        last_transition_time=assessment.measured_at,
    )


def _judge(assessment: Assessment, declared: Quantization) -> _Judgement:
    chosen = next((each for each in assessment.measurements if each.variant == assessment.chosen), None)
    if chosen is None or chosen.variant == ORIGINAL:
        return _kept(assessment)
    what = f"on {assessment.cpu_class}, {_measured(chosen, assessment)} is served"
    if fault := _outside(chosen, declared):
        advice = "the choice was made with other bounds; scalezero models measure --again chooses again"
        return _Judgement("False", "OutsideBounds", f"{what}, but {fault}; {advice}")
    if chosen.variant.startswith(_INT8):
        return _Judgement("True", "Int8Chosen", what)
    others = _listed(_int8(assessment), assessment)
    return _Judgement("False", "FasterVariantChosen", f"{what}{f'; {others}' if others else ''}")


def _kept(assessment: Assessment) -> _Judgement:
    """Say why the original is kept."""
    candidates = _int8(assessment)
    reason = _reason_for_original(candidates, assessment)
    why = _listed(candidates, assessment) or assessment.reason
    return _Judgement("False", reason, f"on {assessment.cpu_class}, the original is served; {why}")


def _reason_for_original(candidates: Sequence[Measurement], assessment: Assessment) -> str:
    measured = [each for each in candidates if each.speedup is not None]
    faster = [each for each in measured if (each.speedup or 0.0) >= assessment.min_speedup]
    if assessment.metric is None and (faster or not measured):
        return "AccuracyNotJudged"
    if not measured:
        return "NoInt8Candidate"
    too_inaccurate = any((each.loss or 0.0) > assessment.max_accuracy_loss for each in faster)
    return "AccuracyLossTooLarge" if too_inaccurate else "NoFasterVariant"


def _outside(chosen: Measurement, declared: Quantization) -> str:
    """Return which bound of the resource the chosen variant does not keep; empty if it keeps both."""
    if chosen.loss is not None and chosen.loss > declared.max_accuracy_loss:
        return f"maxAccuracyLoss is {declared.max_accuracy_loss:g}"
    if chosen.speedup is not None and chosen.speedup < declared.min_speedup:
        return f"minSpeedup is {declared.min_speedup:g}"
    return ""


def _int8(assessment: Assessment) -> list[Measurement]:
    return [each for each in assessment.measurements if each.variant.startswith(_INT8)]


def _listed(candidates: Iterable[Measurement], assessment: Assessment) -> str:
    """List the candidates with their numbers; those that are rejected for the same reason are one item."""
    by_reason: dict[str, list[str]] = {}
    for each in candidates:
        by_reason.setdefault(each.rejected or "", []).append(_measured(each, assessment))
    return "; ".join(f"{', '.join(names)}{f': {reason}' if reason else ''}" for reason, names in by_reason.items())


def _measured(measurement: Measurement, assessment: Assessment) -> str:
    """Format the name and the numbers of a candidate."""
    if measurement.speedup is None:
        return measurement.variant
    if measurement.loss is None:
        accuracy = "accuracy not judged"
    else:
        accuracy = f"{assessment.metric or 'accuracy'} -{max(0.0, measurement.loss):.4f}"
    return f"{measurement.variant} ({measurement.speedup:.2f} x the original, {accuracy})"
