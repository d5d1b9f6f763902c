"""Variants and their measurements. Values only; docs/registry.md describes the fields.

Variant ──► PreparedForm     the same variant, prepared to open fast: optimized, or compiled for a CPU class
   │
   └──────► Measurement      its speed and its accuracy on one CPU class; an Assessment has those of all candidates
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from runtime.variants import names

ORIGINAL: Final = names.ORIGINAL
CPU_PROVIDER: Final = names.CPU_PROVIDER
OPENVINO_PROVIDER: Final = names.OPENVINO_PROVIDER

RowsState: TypeAlias = names.RowsState


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """One object of a model."""

    uri: str
    sha256: str  # lower-case hex
    size: int  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedForm:
    """A variant in a form that opens faster than the variant's own file.

    For ONNX Runtime's CPU provider: the graph optimized, the weights in one aligned external file, which is mapped. Its
    outputs are equal bit by bit. For OpenVINO: the compiled model, as an ONNX file with EPContext nodes and an external
    file. Its outputs are equal up to a thousandth of the largest one.
    """

    uri: str
    sha256: str
    size: int  # bytes, without external data
    files: tuple[StoredFile, ...] = ()  # the external data
    cpu_class: str | None = None  # the only class that may use it; None: every class
    provider_version: str | None = None  # the only version that may use it; None: every version


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsProof:
    """Whether the rows of a request are independent of each other, so that requests may share a run."""

    state: RowsState
    reason: str  # for operators, with the evidence: how many rows of which data


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One form of the model that a pod can serve. The first variant of a model is the original."""

    name: str  # such as original, openvino, int8-dynamic, int8-static-u8s8, int8-nncf-openvino
    provider: str  # ONNX Runtime's name of the execution provider
    precision: str | None  # element type of the weights, NumPy's name; None: unknown
    uri: str
    sha256: str
    size: int  # bytes, without external data
    files: tuple[StoredFile, ...] = ()  # the external data
    prepared: tuple[PreparedForm, ...] = ()
    rows: RowsProof | None = None  # None: not examined

    @property
    def objects(self) -> tuple[StoredFile, ...]:
        """All objects of the variant; its own model file is the last."""
        return (*(each for form in self.prepared for each in own_files(form)), *own_files(self))


def own_files(model: Variant | PreparedForm) -> tuple[StoredFile, ...]:
    """Return the external data of a model file, and the model file itself as the last."""
    return (*model.files, StoredFile(uri=model.uri, sha256=model.sha256, size=model.size))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The duration of a run: seconds = per_row * rows + fixed."""

    fixed: float
    per_row: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One candidate on one CPU class. A candidate that could not be made or run has a reason and no numbers."""

    variant: str  # its name
    provider: str
    one_row: float | None = None  # seconds of a run with one row, median
    full_batch: float | None = None  # seconds of a run with `Assessment.batch_size` rows, median
    cost: Cost | None = None
    speedup: float | None = None  # rows per second in a full batch, relative to the original; median of pairs
    score: float | None = None  # the metric, or the agreement with the original (1.0: all outputs agree)
    loss: float | None = None  # the original's score - its own; None: not judged
    rejected: str | None = None  # why it is not chosen; None: it is within the bounds


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """The measurements of all candidates on one CPU class, and the choice."""

    cpu_class: str
    measured_at: str  # RFC 3339, UTC
    threads: int
    batch_size: int  # rows of a full batch
    metric: str | None  # such as accuracy or auc; "agreement" without labels; None: there was no data
    score: float | None  # of the original, by that metric
    max_accuracy_loss: float
    min_speedup: float
    chosen: str  # the name of a variant
    reason: str  # why it is chosen, for people
    measurements: tuple[Measurement, ...]  # the original first
    packages: Mapping[str, str] = field(default_factory=dict)  # version by package

    @property
    def ranking(self) -> tuple[str, ...]:
        """The variants for a pod of this class: the chosen one, the other usable ones by speed, the original.

        A pod uses the first that its image can open. If the original is chosen, it is the only one.
        """
        if self.chosen == ORIGINAL:
            return (ORIGINAL,)
        usable = [each for each in self.measurements if each.rejected is None and each.variant != ORIGINAL]
        usable.sort(key=lambda each: (each.variant != self.chosen, -(each.speedup or 0.0)))
        return (*(each.variant for each in usable), ORIGINAL)
