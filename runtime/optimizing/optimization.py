"""The optimization of one model: makes the candidates, measures and judges each, and chooses.

original ──► open ──► make files ──► for each candidate: open, compare outputs, measure ──► choose ──► Optimized
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias

from runtime.errors import ProviderUnavailable, ScalezeroError
from runtime.model import providers
from runtime.model.header import read_header
from runtime.model.session import Session
from runtime.optimizing import measuring
from runtime.optimizing.candidates import METHODS, Candidate, Method, candidates_for, saturates
from runtime.optimizing.choosing import Trial, choose, measurement, rejection
from runtime.optimizing.data import is_sample
from runtime.optimizing.making import Job, QuantizedFile, make, require_tools
from runtime.optimizing.original import THREADS, Original, open_original
from runtime.optimizing.reasons import one_line
from runtime.optimizing.values import CandidateFile, Data, Optimized, Step, failed_write
from runtime.variants.bounds import Bounds
from runtime.variants.cpu_class import cpu_class
from runtime.variants.provenance import installed_versions, timestamp
from runtime.variants.values import CPU_PROVIDER, Assessment

Progress: TypeAlias = Callable[[Step], None]
_PACKAGES: Final = ("nncf", "numpy", "onnx", "onnxruntime", "onnxruntime-ep-openvino", "scalezero")


def optimize(  # noqa: PLR0913 - a model, its data, and what is asked
    path: Path,
    *,
    out: Path,
    calibration: Data | None,
    evaluation: Data | None,
    bounds: Bounds,
    batch_size: int,
    name: str,
    progress: Progress | None = None,
    published: Mapping[Method, Path] = MappingProxyType({}),
) -> Optimized:
    """Make and measure the candidates of the model in a file, and choose one.

    The files of the usable candidates are written to the folder `out`, as int8-....onnx; those of an earlier
    optimization are deleted first. The ranges of activations are those of the rows of `calibration`. A candidate is
    judged on `evaluation`, and without it on `calibration`: by labels in the data, else by its agreement with the
    original. `name` is the model's, for errors. The files in `published` exist already: they are
    measured, and neither made nor moved.

    Raises `InvalidModel`, `BadData` if the model cannot compute on the data or the labels do not fit its outputs,
    `ToolsMissing` without scalezero[optimize], `RowsRejected` if the model fails on the rows to measure, `NoSpaceLeft`,
    and `OptimizingFailed` if `out` cannot be written or the model has no inputs.
    """
    require_tools(name)
    problems = _provider_problems()
    precision = read_header(path).weights
    candidates = candidates_for([each for each, problem in problems.items() if not problem], precision=precision)
    steps = _Steps(progress, 1 + len(METHODS) - len(published) + len(candidates))
    data = evaluation or calibration
    try:
        out.mkdir(parents=True, exist_ok=True)
        _delete_stale(out, keep={path, *published.values()})
        with TemporaryDirectory(prefix=".optimizing-", dir=out) as folder, measuring.pinned() as pinned:
            steps.begin("measuring the original")
            opening = pinned.submit(open_original, path, data, name=name, batch_size=batch_size, bounds=bounds)
            task = _Task(path, Path(folder), name, opening.result(), steps, published)
            made = _make(task, calibration)
            trials = [pinned.submit(_try, task, each, made).result() for each in candidates]
            trials += _trials_without_device(problems, precision)
            return _result(task, trials, made, out)
    except OSError as error:
        raise failed_write(name, error, str(error.filename or out)) from error


def _delete_stale(out: Path, *, keep: Collection[Path]) -> None:
    """Delete the files of an earlier optimization, which this one may not choose."""
    kept = {each.resolve() for each in keep}
    for file in (out / f"{method}.onnx" for method in METHODS):
        if file.resolve() not in kept:
            file.unlink(missing_ok=True)


class _Steps:
    """Reports the progress: one step for the original, for each method, and for each candidate."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress = progress
        self._total = total
        self._done = 0

    def begin(self, text: str) -> None:
        if self._progress is not None:
            self._progress(Step(self._done, self._total, text))
        self._done += 1


class _Task(NamedTuple):
    path: Path
    folder: Path  # for temporary files
    name: str
    original: Original
    steps: _Steps
    published: Mapping[Method, Path]


def _make(task: _Task, calibration: Data | None) -> dict[Method, QuantizedFile]:
    signature = task.original.session.signature
    names = [spec.name for spec in signature.inputs]
    methods = [each for each in METHODS if each not in task.published]
    job = Job(
        source=task.path,
        folder=task.folder,
        methods=methods,
        rows=calibration or Data(dict(zip(names, measuring.generated_rows(signature), strict=True))),
        calibrated=calibration is not None,
        samples=tuple(spec.name for spec in signature.inputs if is_sample(spec)),
        may_saturate=saturates(cpu_class()),
    )
    made: dict[Method, QuantizedFile] = {}
    for method in methods[:1]:
        task.steps.begin(f"making {method}")
    for each in make(job, name=task.name):
        made[each.method] = each
        for method in methods[len(made) : len(made) + 1]:
            task.steps.begin(f"making {method}")
    return made | {method: QuantizedFile(method, path) for method, path in task.published.items()}


def _try(task: _Task, candidate: Candidate, made: Mapping[Method, QuantizedFile]) -> Trial:
    """Open a candidate, judge its outputs and measure it. It runs on the pinned thread."""
    task.steps.begin(f"measuring {candidate.name}")
    file = made[candidate.method] if candidate.method else None
    path = file.path if file else task.path
    if path is None:
        return Trial(candidate, failure=file and file.reason)
    original = task.original
    try:
        session = Session(path, uri=path.name, name=task.name, threads=THREADS, provider=candidate.provider)
        score = None
        if original.judged is not None:
            rows = original.standard.batch_size
            outputs = measuring.outputs_of(session, original.judged.tensors, rows=rows)
            if not original.judged.is_valid(outputs):
                return Trial(candidate, failure="its output has NaN or infinity")
            score = original.judged.score(outputs)
        alone = measuring.why_alone(original.session, session)
        speed = measuring.speed_of(original.session, session, original.feeds, alone=alone)
    except ScalezeroError as error:
        reason = str(error.details.get("reason", error)).replace(f"{task.folder}/", "")
        return Trial(candidate, failure=one_line(reason))
    return Trial(candidate, speed=speed, score=score)


def _provider_problems() -> dict[str, str | None]:
    """Return why each installed provider cannot be used on this machine; None: it can."""
    installed = filter(providers.is_installed, providers.PROVIDERS)
    return {each: None if each == CPU_PROVIDER else _problem(each) for each in installed}


def _problem(provider: str) -> str | None:
    try:
        providers.devices(provider)
    except ProviderUnavailable as error:
        return str(error)
    return None


def _trials_without_device(problems: Mapping[str, str | None], precision: str | None) -> list[Trial]:
    """Return one trial for each installed provider that cannot be used, so that the report says why."""
    return [
        Trial(next(iter(candidates_for([provider], precision=precision))), failure=problem)
        for provider, problem in problems.items()
        if problem
    ]


def _result(task: _Task, trials: Sequence[Trial], made: Mapping[Method, QuantizedFile], out: Path) -> Optimized:
    standard = task.original.standard
    choice = choose(trials, standard)
    usable = [each.candidate for each in trials if rejection(each, standard) is None]
    kept = {each.method: _keep(task, made[each.method], out) for each in usable if each.method}
    files = (kept[each.method] if each.method else task.path for each in usable)
    assessment = Assessment(
        cpu_class=cpu_class(),
        measured_at=timestamp(datetime.now(UTC)),
        threads=THREADS,
        batch_size=standard.batch_size,
        metric=standard.metric,
        score=standard.score,
        max_accuracy_loss=standard.bounds.max_accuracy_loss,
        min_speedup=standard.bounds.min_speedup,
        chosen=choice.name,
        reason=choice.reason,
        measurements=(task.original.measurement(), *(measurement(each, standard) for each in trials)),
        packages=installed_versions(_PACKAGES),
    )
    return Optimized(
        tuple(
            CandidateFile(each.name, each.provider, each.precision, path)
            for each, path in zip(usable, files, strict=True)
        ),
        assessment,
    )


def _keep(task: _Task, made: QuantizedFile, out: Path) -> Path:
    """Move a file to the folder of the results, unless that was done for another provider, or it is published."""
    if made.method in task.published:
        return task.published[made.method]
    kept = out / f"{made.method}.onnx"
    if made.path is not None and made.path.exists():
        made.path.replace(kept)
    return kept
