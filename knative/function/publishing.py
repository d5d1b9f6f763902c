"""From a function's folder to the registry: for each ModelVersion of its model.yaml, train and publish.

The folder's train.py holds `train(version: str, out: Path)`, which writes one version as ONNX somewhere under `out` and
returns its `path` and its `metrics` on held-out data.
"""

import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from numbers import Real
from pathlib import Path
from tempfile import TemporaryDirectory
from traceback import extract_tb
from typing import Final, Protocol

from knative.resources import ModelVersion, read_resources
from runtime.errors import ScalezeroError
from runtime.registry import Published, check_model, find, publish

TRAINER: Final = "train.py"


class TrainingFailed(ScalezeroError):
    """The folder's train.py failed, or did not return the model."""

    code = "training_failed"

    def __init__(self, source: Path, reason: str) -> None:
        super().__init__(f"{source}: {reason}", source=str(source), reason=reason)


class Trained(Protocol):
    """What a trainer returns."""

    @property
    def path(self) -> Path:
        """The ONNX file."""

    @property
    def metrics(self) -> Mapping[str, float]:
        """How good it is, by the metric's name, such as auc or average_precision."""


Train = Callable[[str, Path], Trained]


def publish_function(
    folder: Path, *, only_missing: bool = False, overwrite: bool = False, say: Callable[[str], None] = print
) -> tuple[Published, ...]:
    """Train and publish each ModelVersion of the folder; `only_missing` passes over what is in the registry already.

    Says one line for each step. Raises `BadManifest`, `TrainingFailed`, `AlreadyPublished`, and what `publish` raises.
    """
    versions = read_resources(folder).model_versions
    return publish_versions(versions, folder, only_missing=only_missing, overwrite=overwrite, say=say)


def publish_versions(
    versions: Sequence[ModelVersion],
    folder: Path,
    *,
    only_missing: bool = False,
    overwrite: bool = False,
    say: Callable[[str], None] = print,
    lookup: Callable[[str], Published | None] = find,
) -> tuple[Published, ...]:
    """Do what `publish_function` does, for versions that are already read. Raises the same, except `BadManifest`.

    `lookup` returns what the registry has under a URI.
    """
    held = {version.metadata.name: lookup(version.spec.storage.uri(folder)) for version in versions if only_missing}
    if not (folder / TRAINER).is_file():
        _refuse_missing(folder, [each for each in versions if not held.get(each.metadata.name)])
    return tuple(
        _publish_version(folder, version, held.get(version.metadata.name), overwrite=overwrite, say=say)
        for version in versions
    )


def _refuse_missing(folder: Path, versions: Sequence[ModelVersion]) -> None:
    """Name all versions that nothing trains, before anything is done. Raises `TrainingFailed`."""
    missing = [version.spec.storage.uri(folder) for version in versions]
    if missing:
        by_hand = ", ".join(f"scalezero publish FILE {uri}" for uri in missing)
        reason = (
            f"there is no such file; write one with train(version, out), or publish a model that you have: {by_hand}"
        )
        raise TrainingFailed(folder / TRAINER, reason)


def _publish_version(
    folder: Path, version: ModelVersion, held: Published | None, *, overwrite: bool, say: Callable[[str], None]
) -> Published:
    title, uri = f"{version.spec.model_name} {version.spec.version}", version.spec.storage.uri(folder)
    if held is not None:
        say(f"{title}: already at {uri}")
        return held
    say(f"{title}: training")
    with TemporaryDirectory(prefix="scalezero-") as out:
        trained = _trained(folder / TRAINER, version.spec.version, Path(out))
        check_model(trained.path, name=version.spec.model_name)
        published = publish(trained.path, uri, metadata=_words(version, trained.metrics), overwrite=overwrite)
    measured = "".join(f", {name} {value:g}" for name, value in trained.metrics.items())
    say(f"{title}: {'published to' if published.uploaded else 'already at'} {uri}{measured}")
    return published


def _words(version: ModelVersion, metrics: Mapping[str, float]) -> dict[str, str]:
    """Write the object's metadata. S3 carries it as HTTP headers, where a name takes no underscore safely."""
    measured = {f"metric-{name.replace('_', '-')}": f"{value:g}" for name, value in metrics.items()}
    return {"model": version.spec.model_name, "version": version.spec.version, **measured}


def _trained(source: Path, version: str, out: Path) -> Trained:
    with _one_sentence(source):
        trained = _load(source)(version, out)
    _check(source, trained)
    return trained


def _check(source: Path, trained: object) -> None:
    """Check what `train` returned. Raises `TrainingFailed`."""
    path, metrics = getattr(trained, "path", None), getattr(trained, "metrics", None)
    expected = "expected an object with path, the ONNX file, and metrics, numbers by name"
    if not isinstance(path, Path) or not isinstance(metrics, Mapping):
        raise TrainingFailed(source, f"train returned {_shown(trained)}; {expected}")
    if not path.is_file():
        raise TrainingFailed(source, f"train returned the path {path}, which is no file; {expected}")
    for name, value in metrics.items():
        if not isinstance(name, str) or isinstance(value, bool) or not isinstance(value, Real):
            raise TrainingFailed(source, f"train returned the metric {name!r} as {_shown(value)}; expected a number")


def _shown(value: object) -> str:
    return "None" if value is None else f"{value!r:.60} ({type(value).__name__})"


def _load(source: Path) -> Train:
    """Import a folder's train.py by its path, as functions-framework imports its main.py."""
    name = f"scalezero_train_{source.parent.name}"
    spec = importlib.util.spec_from_file_location(name, source.resolve())
    if not source.is_file() or spec is None or spec.loader is None:
        raise TrainingFailed(source, "there is no such file; expected one with train(version, out)")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    if (folder := str(source.parent.resolve())) not in sys.path:
        sys.path.append(folder)
    spec.loader.exec_module(module)
    train: Train | None = getattr(module, "train", None)
    if train is None:
        raise TrainingFailed(source, "it has no function train(version, out)")
    return train


@contextmanager
def _one_sentence(source: Path) -> Iterator[None]:
    """Convert whatever the author's code raises to one sentence with the line in the author's folder."""
    try:
        yield
    except ScalezeroError:
        raise
    except ModuleNotFoundError as error:
        raise TrainingFailed(
            source, f"{error}; pip install 'scalezero[train]' brings what the shipped ones need"
        ) from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # also `sys.exit` in the author's code
        raise TrainingFailed(source, f"{type(error).__name__}: {error}{_line(error, source.parent)}") from error


def _line(error: BaseException, folder: Path) -> str:
    """Where in the author's folder it was raised, the innermost line."""
    frames = [each for each in extract_tb(error.__traceback__) if Path(each.filename).is_relative_to(folder.resolve())]
    return f" (at {Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
