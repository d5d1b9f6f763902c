"""The options of the commands that make variants: the bounds of the choice, and the rows of a measurement."""

import math
from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from runtime.variants.bounds import Bounds

F = TypeVar("F", bound=Callable[..., object])
MAX_ROWS: Final = 4096  # as SCALEZERO_BATCH_SIZE


class _FiniteRange(click.FloatRange):
    """A range of numbers. Unlike click's, it does not accept NaN, which compares with nothing and is not JSON."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # noqa: ANN401
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


def bounds(*, declared: bool = False) -> Callable[[F], F]:
    """Add --max-accuracy-loss, --min-speedup, --accept-unjudged and --batch-size.

    `declared`: the defaults are what the resources of a folder state.
    """
    default, least = "declared, or " if declared else "", Bounds()
    options = [
        click.option(
            "--max-accuracy-loss",
            type=_FiniteRange(0, 1),
            help=f"Of the metric or agreement.  [default: {default}{least.max_accuracy_loss:g}]",
        ),
        click.option(
            "--min-speedup",
            type=_FiniteRange(1, 1000),
            help=f"Over the original.  [default: {default}{least.min_speedup:g}]",
        ),
        click.option("--accept-unjudged", is_flag=True, help="Choose by speed alone if there is no data."),
        click.option(
            "--batch-size",
            type=click.IntRange(1, MAX_ROWS),
            help=f"Rows of a full batch in the measurements.  [default: {default}32]",
        ),
    ]

    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate
