"""Training of one ModelVersion by the folder's train.py.

train.py defines `train(version: str, out: Path)`, which writes one version as an ONNX file below `out` and returns its
`path` and its `metrics` on held-out data; optionally, the data that faster variants are made and judged with. For a
folder with several models, it defines `train(version: str, out: Path, model: str)`, which gets the model's name too.
"""

import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from numbers import Real
from pathlib import Path
from tempfile import TemporaryDirectory
from traceback import extract_tb
from typing import Any, Final, Protocol

from knative.resources import ModelVersion
from runtime.errors import ScalezeroError

TRAINER: Final = "train.py"
CALIBRATION, EVALUATION = "calibration", "evaluation"  # attributes of what `train` returns
_MODEL: Final = "model"  # the parameter of `train` that gets the model's name


class TrainingFailed(ScalezeroError):
    """The folder's train.py failed, or did not return the model."""

    code = "training_failed"

    def __init__(self, source: Path, reason: str) -> None:
        super().__init__(f"{source}: {reason}", source=str(source), reason=reason)


class TrainedModel(Protocol):
    """The return value of `train`. It may also have `calibration` and `evaluation`: arrays by the names of inputs.

    `evaluation` may also have the expected values, by the names of outputs.
    """

    @property
    def path(self) -> Path:
        """The ONNX file."""

    @property
    def metrics(self) -> Mapping[str, float]:
        """The quality of the model by the name of the metric, such as auc or average_precision."""


Train = Callable[..., TrainedModel]  # (version, out) or (version, out, model)


@contextmanager
def trained(folder: Path, version: ModelVersion) -> Iterator[TrainedModel]:
    """Train one version, and delete its file at the end of the context. Raises `TrainingFailed`."""
    with TemporaryDirectory(prefix="scalezero-") as out:
        yield train_version(folder, version, Path(out))


def train_version(folder: Path, version: ModelVersion, out: Path) -> TrainedModel:
    """Train one version into the folder `out`. Raises `TrainingFailed`."""
    source = folder / TRAINER
    train = _load_trainer(source)
    chosen = {_MODEL: version.spec.model_name} if _takes_model(source, train) else {}
    with _training_errors(source):
        result = train(version.spec.version, out, **chosen)
    _check_result(source, result)
    return result


def refuse_ambiguous(source: Path, missing: Sequence[ModelVersion], versions: Sequence[ModelVersion]) -> None:
    """Raise `TrainingFailed`, before any training, if `train` cannot know which of several models it should train."""
    for version in missing:
        number = version.spec.version
        models = sorted({each.spec.model_name for each in versions if each.spec.version == number})
        if len(models) > 1 and not _takes_model(source, _load_trainer(source)):
            reason = (
                f"train(version, out) cannot tell the models {', '.join(models)} apart: all have a version {number}"
            )
            raise TrainingFailed(source, f"{reason}; write train(version, out, model)")


def _takes_model(source: Path, train: Train) -> bool:
    with _training_errors(source):
        return _MODEL in inspect.signature(train).parameters


def _check_result(source: Path, trained: object) -> None:
    """Check the return value of `train`. Raises `TrainingFailed`."""
    path, metrics = getattr(trained, "path", None), getattr(trained, "metrics", None)
    expected = "expected an object with path, the ONNX file, and metrics, numbers by name"
    if not isinstance(path, Path) or not isinstance(metrics, Mapping):
        raise TrainingFailed(source, f"train returned {_format_value(trained)}; {expected}")
    if not path.is_file():
        raise TrainingFailed(source, f"train returned the path {path}, which is not a file; {expected}")
    for name, value in metrics.items():
        if not isinstance(name, str) or isinstance(value, bool) or not isinstance(value, Real):
            got = _format_value(value)
            raise TrainingFailed(source, f"train returned the metric {name!r} as {got}; expected a number")


def data_of(trained: TrainedModel, attribute: str, folder: Path) -> Mapping[str, Any] | None:
    """Return the CALIBRATION or EVALUATION data of what `train` returned; None: it returned none.

    Raises `TrainingFailed` if it is not data, as far as that shows without the model.
    """
    source, arrays = folder / TRAINER, getattr(trained, attribute, None)
    if arrays is None:
        return None
    expected = f"expected {attribute} as NumPy arrays by the name of the input, or None"
    if not isinstance(arrays, Mapping) or not arrays:
        raise TrainingFailed(source, f"train returned {attribute} as {_format_value(arrays)}; {expected}")
    for name, array in arrays.items():
        if not isinstance(name, str) or not hasattr(array, "dtype") or not hasattr(array, "shape"):
            got = _format_value(array)
            raise TrainingFailed(source, f"train returned {attribute} with {name!r} as {got}; {expected}")
    return arrays


def _format_value(value: object) -> str:
    return "None" if value is None else f"{value!r:.60} ({type(value).__name__})"


def _load_trainer(source: Path) -> Train:
    with _training_errors(source):
        return _load(source)


def _load(source: Path) -> Train:
    """Import a folder's train.py by its path, as functions-framework imports its main.py."""
    name = f"scalezero_train_{source.parent.name}"
    spec = importlib.util.spec_from_file_location(name, source.resolve())
    if not source.is_file() or spec is None or spec.loader is None:
        raise TrainingFailed(source, "the file does not exist; write it with train(version, out)")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look up their module there
    if (folder := str(source.parent.resolve())) not in sys.path:
        sys.path.append(folder)
    spec.loader.exec_module(module)
    train: Train | None = getattr(module, "train", None)
    if train is None:
        expected = "train(version, out), or train(version, out, model) for several models"
        raise TrainingFailed(source, f"the file does not define {expected}")
    return train


@contextmanager
def _training_errors(source: Path) -> Iterator[None]:
    """Convert each exception of the author's code to `TrainingFailed`, with the line in the author's folder."""
    try:
        yield
    except ScalezeroError:
        raise
    except ModuleNotFoundError as error:
        raise TrainingFailed(
            source, f"{error}; install it: pip install 'scalezero[train]' contains the packages of the examples"
        ) from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # also `sys.exit` in the author's code
        raise TrainingFailed(source, f"{type(error).__name__}: {error}{_line(error, source.parent)}") from error


def _line(error: BaseException, folder: Path) -> str:
    """Return the innermost line of the traceback in the author's folder, or an empty string."""
    frames = [each for each in extract_tb(error.__traceback__) if Path(each.filename).is_relative_to(folder.resolve())]
    return f" (at {Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
