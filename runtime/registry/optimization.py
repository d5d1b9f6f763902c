"""What a publisher asks for when variants are made: the bounds of the choice, and the data."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from runtime.settings import DEFAULT_BATCH_SIZE  # of a pod
from runtime.variants.bounds import Bounds

if TYPE_CHECKING:
    import numpy as np

# A `.npz` file, as a path or as `s3://bucket/key`; or arrays by the names of inputs and, for expected values, outputs.
DataSource: TypeAlias = str | Path | Mapping[str, "np.ndarray"]


class Optimization(NamedTuple):
    """What `publish_model` makes and measures besides the original."""

    bounds: Bounds
    calibration: "DataSource | None" = None
    evaluation: "DataSource | None" = None
    batch_size: int = DEFAULT_BATCH_SIZE


def optimization_of(
    *,
    calibration: "DataSource | None" = None,
    evaluation: "DataSource | None" = None,
    batch_size: int | None = None,
    max_accuracy_loss: float | None = None,
    min_speedup: float | None = None,
    accept_unjudged: bool = False,
) -> Optimization:
    """Return an optimization with the defaults for what is None."""
    stated: dict[str, Any] = {"max_accuracy_loss": max_accuracy_loss, "min_speedup": min_speedup}
    given = {name: value for name, value in stated.items() if value is not None}
    bounds = Bounds(accept_unjudged=accept_unjudged)._replace(**given)
    return Optimization(bounds, calibration, evaluation, batch_size or DEFAULT_BATCH_SIZE)
