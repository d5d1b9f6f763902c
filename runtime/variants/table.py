"""The measurements of an assessment as a table for people. Pure."""

from collections.abc import Iterator, Sequence
from typing import Final

from runtime.variants.values import Assessment, Measurement

_NONE: Final = "-"
_DIGITS: Final = 3  # significant ones of a speed


def columns(assessment: Assessment) -> tuple[str, ...]:
    """Return the names of the columns; speeds are rows per second on one core."""
    full = () if assessment.batch_size == 1 else (f"ROWS/S AT {assessment.batch_size}",)
    score = (assessment.metric or "score").upper()
    return ("VARIANT", "PROVIDER", "ROWS/S AT 1", *full, "SPEEDUP", score, "LOSS", "VERDICT")


def rows(assessment: Assessment) -> Iterator[tuple[str, ...]]:
    """Yield one row for each candidate, the original first; the verdict is the reason of a rejection."""
    for each in assessment.measurements:
        full = () if assessment.batch_size == 1 else (_speed(each.full_batch, assessment.batch_size),)
        yield (
            each.variant,
            each.provider.removesuffix("ExecutionProvider"),
            _speed(each.one_row, 1),
            *full,
            _number(each.speedup, "{:.2f} x"),
            _number(each.score, "{:.4f}"),
            _number(each.loss, "{:.4f}"),
            verdict(each, assessment),
        )


def verdict(each: Measurement, assessment: Assessment) -> str:
    """Return what became of a candidate, in words."""
    if each.variant == assessment.chosen:
        return "chosen"
    return each.rejected or "usable"


def facts(assessment: Assessment) -> Iterator[str]:
    """Yield lines about the measurement and the choice."""
    yield f"on {assessment.cpu_class}, with {_threads(assessment.threads)}, at {assessment.measured_at}"
    bounds = f"a speedup of at least {assessment.min_speedup:g}, a loss of at most {assessment.max_accuracy_loss:g}"
    yield f"bounds: {bounds}"
    yield f"chosen: {assessment.chosen}: {assessment.reason}"


def text(assessment: Assessment) -> str:
    """Return the table and the choice as lines of text."""
    table = [columns(assessment), *rows(assessment)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in table)
    return "\n".join([*lines, *facts(assessment)])


def choices(assessments: Sequence[Assessment]) -> str:
    """Return the chosen variant of each CPU class: `amd-avx2 original, intel-amx int8-nncf-openvino`."""
    newest = {each.cpu_class: each.chosen for each in sorted(assessments, key=lambda each: each.measured_at)}
    return ", ".join(f"{cpu_class} {chosen}" for cpu_class, chosen in sorted(newest.items())) or _NONE


def _speed(seconds: float | None, count: int) -> str:
    if not seconds:
        return _NONE
    speed = count / seconds
    return f"{speed:,.0f}" if speed >= 10 ** (_DIGITS - 1) else f"{speed:.{_DIGITS}g}"


def _number(value: float | None, form: str) -> str:
    return _NONE if value is None else form.format(value)


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"
