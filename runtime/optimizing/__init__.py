"""Candidates of a model that may be faster than the original, their measurement, and the choice.

    candidates  which candidates there are: a method of quantization and a provider each; pure
    making      makes the int8 files, in a process of its own (worker.py, quantizable.py, methods.py)
    measuring   the speed of a candidate in pairs with the original; timing: what the pairs show; pure
    accuracy    the metric with labels, else the agreement with the original; pure
    choosing    the fastest within the bounds, and the reason for each rejection; pure
    original    the speed and the outputs of the original
    optimization  runs all of it; report, plot: the result for people and programs

Only the machine of the publisher runs this, never a pod: the serving path does not import it.
"""

from runtime.optimizing.data import data_from, read_data, signature_of
from runtime.optimizing.optimization import optimize
from runtime.optimizing.values import (
    BadData,
    CandidateFile,
    Data,
    Optimized,
    OptimizingFailed,
    RowsRejected,
    Step,
    ToolsMissing,
)
from runtime.variants.bounds import Bounds

__all__ = [
    "BadData",
    "Bounds",
    "CandidateFile",
    "Data",
    "Optimized",
    "OptimizingFailed",
    "RowsRejected",
    "Step",
    "ToolsMissing",
    "data_from",
    "optimize",
    "read_data",
    "signature_of",
]
