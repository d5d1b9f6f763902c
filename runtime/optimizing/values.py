"""What an optimization takes and returns. Values only."""

import errno
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from runtime.errors import ScalezeroError
from runtime.variants.values import Assessment


class BadData(ScalezeroError):
    """Calibration or evaluation data does not fit the model."""

    code = "bad_data"

    def __init__(self, source: str, field: str, *, got: str, expected: str) -> None:
        super().__init__(
            f"{source}: {field}: got {got}; expected {expected}",
            source=source,
            field=field,
            got=got,
            expected=expected,
        )


class OptimizingFailed(ScalezeroError):
    """The candidates cannot be made or measured."""

    code = "optimizing_failed"

    def __init__(self, model: str, reason: str) -> None:
        super().__init__(f"{model}: the variants cannot be made: {reason}", model=model, reason=reason)


class ToolsMissing(OptimizingFailed):
    """A package of scalezero[optimize] is not installed."""

    code = "optimizing_tools_missing"

    def __init__(self, model: str, package: str) -> None:
        super().__init__(model, f"{package} is not installed: pip install 'scalezero[optimize]'")


class RowsRejected(OptimizingFailed):
    """The original fails on the rows on which it is measured."""

    code = "optimizing_rows_rejected"

    def __init__(self, model: str, reason: str, *, generated: bool) -> None:
        advice = "; state calibration or evaluation data" if generated else ""
        super().__init__(model, f"the model fails on the rows to measure: {reason}{advice}")


class NoSpaceLeft(OptimizingFailed):
    """The disk is full."""

    code = "optimizing_disk_full"


def failed_write(model: str, error: OSError, reason: str) -> OptimizingFailed:
    """Return the error of a file that cannot be written: `NoSpaceLeft` if the disk is full, or `OptimizingFailed`."""
    kind = NoSpaceLeft if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG} else OptimizingFailed
    return kind(model, f"{reason}: {error.strerror}")


class Data(NamedTuple):
    """Rows for a model, along the first axis; for an input without a row axis, that axis is added in front."""

    inputs: Mapping[str, np.ndarray]  # by the name of the input; of the input's element type
    expected: Mapping[str, np.ndarray] = {}  # labels by the name of the output; at most one

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(next(iter(self.inputs.values())))


class Step(NamedTuple):
    """The progress of an optimization."""

    done: int  # steps
    total: int
    text: str  # what is done now


class CandidateFile(NamedTuple):
    """The file of a candidate that a pod may use."""

    name: str  # of the variant
    provider: str
    precision: str | None  # element type of the weights; None: unknown
    path: Path  # the original's file for a candidate that is the original on another provider


class Optimized(NamedTuple):
    """The result: the usable candidates, without the original, and all measurements."""

    candidates: tuple[CandidateFile, ...]
    assessment: Assessment
