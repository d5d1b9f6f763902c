"""The prepared form of a model for ONNX Runtime's CPU provider: a file that opens faster, with equal outputs.

    model ──► ONNX Runtime optimizes and saves it ──► outputs compared, opening timed ──► Preparation

ONNX Runtime copies weights that are inside the model's file, and maps those in a file of external data. Its
optimizations take most of the time of an opening, so they are applied here, once. Some depend on the CPU: the layout of
convolutions. A model with such an optimization gets two forms: one for the CPU class of this machine, which opens as it
is, and one for all classes, whose layout the pod optimizes.

ONNX Runtime can also save the weights that its kernels pack (`session.save_external_prepacked_constant_initializers`).
This is not used: it saves them beside the weights, which doubles the file, and packs them again at each opening.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import process_time
from typing import Final, NamedTuple

import numpy as np
import onnxruntime as ort

from runtime.errors import InvalidModel
from runtime.model import generating
from runtime.model.comparing import NO_INPUT, difference, reference_of
from runtime.model.graph import is_ort_format
from runtime.model.prepared import Note, append_note, read_note
from runtime.model.session import Session
from runtime.variants.cpu_class import cpu_class
from runtime.variants.values import CPU_PROVIDER

_EXTERNAL_FROM: Final = 2**20  # bytes of all weights; fewer stay in the model's file, which saves a request
_LARGE_TENSOR: Final = 2**10  # bytes; a weight that has fewer stays in the model's file
_LEAST_GAIN: Final = 0.010  # seconds; about the time of the request for the external data
_LARGEST_RATIO: Final = 0.8  # of the time to open the prepared form to that of the model
_OPENINGS: Final = 3
_LONG_OPENING: Final = 1.0  # seconds; a longer one is not repeated


class PreparedFile(NamedTuple):
    """One prepared form. The names of its files have the variant's name, the version and the CPU class."""

    model: Path
    data: Path | None  # the external data, beside the model; None: there is none
    cpu_class: str | None  # the only class that may use it; None: every class
    provider_version: str  # the only version of ONNX Runtime that may use it
    opening: float  # seconds, median
    opening_of_original: float  # seconds, median, measured in turn

    @property
    def files(self) -> tuple[Path, ...]:
        """All files: the external data first."""
        return (self.model,) if self.data is None else (self.data, self.model)


class Preparation(NamedTuple):
    """The prepared forms of one file, the one for this CPU class first; and what was found, for operators."""

    forms: tuple[PreparedFile, ...]
    reason: str
    failures: tuple[str, ...] = ()  # why a form could not be made; none if one is not needed, or gains nothing


class Refusal(NamedTuple):
    """Why a form is not used."""

    reason: str
    failed: bool = True  # false: nothing is wrong, but nothing is gained


def prepare(
    path: Path, out: Path, *, name: str, rows: Sequence[Sequence[np.ndarray]] = (), only_faster: bool = True
) -> Preparation:
    """Write the prepared forms of the model file into the folder `out`.

    `name` is that of the variant. `rows` are inputs to compare the outputs on, each with one array per input in the
    signature's order, for example from the evaluation data; generated inputs are compared too. A form is returned only
    if all its outputs are equal bit by bit to those of the model and, with `only_faster`, if it opens faster.

    Raises `InvalidModel` if ONNX Runtime cannot open the model, and OSError.
    """
    with path.open("rb") as file:
        if is_ort_format(file.read(8)):
            return Preparation((), "the file is in ONNX Runtime's own format, which cannot be prepared")
    if read_note(path) is not None:
        return Preparation((), "the file is a prepared form itself")
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=out) as folder:
        original = Original(path, name, rows, only_faster=only_faster)
        try:
            written = _write_forms(path, Path(folder), f"{name}.prepared-{ort.__version__}")
        except Exception as error:  # onnxruntime's exceptions have no other common base class
            if isinstance(error, OSError):
                raise
            reason = f"ONNX Runtime cannot save the optimized model: {' '.join(str(error).split())}"
            return Preparation((), reason, (reason,))
        for each in written:
            append_note(each.model, original.note._replace(optimized_for=cpu_class() if each.optimized else None))
        examined = [original.examine(each) for each in written]
        forms = tuple(_moved(each, out) for each in examined if isinstance(each, PreparedFile))
    refusals = dict.fromkeys(each for each in examined if isinstance(each, Refusal))
    reason = "; ".join(each.reason for each in refusals) or original.evidence
    return Preparation(forms, reason, tuple(each.reason for each in refusals if each.failed))


def is_faster(seconds: float, before: float) -> bool:
    """Return whether a form that opens in `seconds` is worth its files, if the model opens in `before` seconds."""
    return before - seconds >= _LEAST_GAIN and seconds <= _LARGEST_RATIO * before


class Written(NamedTuple):
    """The files of one form, before they are examined."""

    model: Path
    data: Path | None
    cpu_class: str | None
    optimized: bool  # completely, for this CPU class


def _write_forms(path: Path, folder: Path, stem: str) -> list[Written]:
    """Write one form for all CPU classes, and before it one for this class if its graph is different."""
    levels = ort.GraphOptimizationLevel
    general = _save(path, folder / f"{stem}.onnx", levels.ORT_ENABLE_EXTENDED)
    with TemporaryDirectory(dir=folder) as scratch:  # the name of the external data is in the graph, so it must be same
        full = _save(path, Path(scratch) / general[0].name, levels.ORT_ENABLE_ALL)
        if full[0].read_bytes() == general[0].read_bytes():
            return [Written(*general, cpu_class=None, optimized=True)]
    own = _save(path, folder / f"{stem}-{cpu_class()}.onnx", levels.ORT_ENABLE_ALL)
    return [
        Written(*own, cpu_class=cpu_class(), optimized=True),
        Written(*general, cpu_class=None, optimized=False),
    ]


def _save(path: Path, target: Path, level: "ort.GraphOptimizationLevel") -> tuple[Path, Path | None]:
    """Optimize the model and save it; its external data is beside it. Small weights stay in the model's file."""
    data = target.with_name(f"{target.name}.data")
    options = _saving_options(target, level)
    options.add_session_config_entry("session.optimized_model_external_initializers_file_name", data.name)
    options.add_session_config_entry(
        "session.optimized_model_external_initializers_min_size_in_bytes", str(_LARGE_TENSOR)
    )
    ort.InferenceSession(path, options, providers=[CPU_PROVIDER])
    if data.is_file() and data.stat().st_size >= _EXTERNAL_FROM:
        return target, data
    data.unlink(missing_ok=True)
    ort.InferenceSession(path, _saving_options(target, level), providers=[CPU_PROVIDER])
    return target, None


def _saving_options(target: Path, level: "ort.GraphOptimizationLevel") -> "ort.SessionOptions":
    options = ort.SessionOptions()
    options.log_severity_level = 4  # fatal: it warns that a graph depends on the CPU, which the CPU class ensures
    options.intra_op_num_threads = 1
    options.graph_optimization_level = level
    options.optimized_model_filepath = str(target)
    options.add_session_config_entry("session.disable_prepacking", "1")  # the saved file does not have packed weights
    return options


def _moved(form: PreparedFile, out: Path) -> PreparedFile:
    """Move the files of a form out of the temporary folder, the external data first."""
    if form.data is not None:
        form.data.replace(out / form.data.name)
    form.model.replace(out / form.model.name)
    return form._replace(model=out / form.model.name, data=form.data and out / form.data.name)


class Original:
    """The model to prepare: its outputs, and the time to open it."""

    def __init__(self, path: Path, name: str, rows: Sequence[Sequence[np.ndarray]], *, only_faster: bool) -> None:
        """Open it and compute its outputs. Raises `InvalidModel`."""
        self._path = path
        self._name = name
        self._only_faster = only_faster
        session = self._open(path)
        self.note = Note(optimized_for=None, facts=session.facts)
        self._reference = reference_of(session, rows)
        count = len(self._reference.runs)
        self.evidence = f"its outputs are equal bit by bit on {count} inputs, {len(rows)} of them given"

    def examine(self, form: Written) -> PreparedFile | Refusal:
        """Return the form with its times, or why it is not used."""
        if not self._reference.runs:
            return Refusal(NO_INPUT)
        title = f"the prepared form {form.model.name}"
        try:
            differs = difference(self._reference, self._open(form.model, prepared_form=True), generating.same)
        except InvalidModel as error:
            return Refusal(f"{title} cannot be opened: {error.details['reason']}")
        if differs:
            return Refusal(f"{title} {differs}")
        seconds, before = self._time(form.model)
        if self._only_faster and not is_faster(seconds, before):
            times = f"the model opens in {before:.3f} s, {title} in {seconds:.3f} s"
            return Refusal(f"nothing is gained: {times}", failed=False)
        return PreparedFile(form.model, form.data, form.cpu_class, ort.__version__, seconds, before)

    def _open(self, path: Path, *, prepared_form: bool = False) -> Session:
        return Session(path, uri=path.name, name=self._name, threads=1, prepared_form=prepared_form)

    def _time(self, path: Path) -> tuple[float, float]:
        """Return the median seconds to open the form and the model, in turn."""
        pairs: list[tuple[float, float]] = []
        while len(pairs) < _OPENINGS and (not pairs or sum(pairs[-1]) < _LONG_OPENING):
            pairs.append(
                (_seconds(lambda: self._open(path, prepared_form=True)), _seconds(lambda: self._open(self._path)))
            )
        return median(each[0] for each in pairs), median(each[1] for each in pairs)


def _seconds(act: Callable[[], object]) -> float:
    """Return the seconds of the CPU, so that other processes of a busy machine do not count."""
    began = process_time()
    act()
    return process_time() - began
