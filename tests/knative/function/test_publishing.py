"""A function's folder goes to the registry: what is missing is trained, what is there stays."""

from pathlib import Path

import pytest

from knative.function.publishing import TrainingFailed, publish_function
from knative.resources import BadManifest
from runtime.errors import InvalidModel
from runtime.registry import AlreadyPublished
from tests.runtime.test_registry import digest, model

VERSION = """
apiVersion: ml.example.com/v1
kind: ModelVersion
metadata:
  name: add-v{major}
spec:
  modelName: add
  version: "{major}.0.0"
  format: onnx
  storage:
    type: file
    path: published/add-v{major}.onnx
"""
TRAINER = """
from collections import namedtuple
from shutil import copy

from beside import FOLDER

def train(version, out):
    with open(FOLDER / "trained.txt", "a") as log:
        log.write(version + " ")
    path = copy(FOLDER / "ready.onnx", out / "any-name.onnx")
    return namedtuple("Trained", "path metrics")(path=path, metrics={"auc": 0.91})
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A function's folder with two versions, whose train.py imports a module beside it."""
    import sys

    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "beside", raising=False)
    (tmp_path / "model.yaml").write_text("---".join(VERSION.format(major=major) for major in (1, 2)))
    (tmp_path / "train.py").write_text(TRAINER)
    (tmp_path / "beside.py").write_text("from pathlib import Path\nFOLDER = Path(__file__).parent\n")
    model(tmp_path, "ready.onnx")
    return tmp_path


def trained(folder: Path) -> list[str]:
    """List the versions trained so far."""
    log = folder / "trained.txt"
    return log.read_text().split() if log.exists() else []


def test_each_version_is_trained_and_published_with_a_line_for_each_step(folder: Path) -> None:
    lines: list[str] = []
    published = publish_function(folder, say=lines.append)
    places = [str(folder / "published" / f"add-v{major}.onnx") for major in (1, 2)]
    assert [each.uri for each in published] == places
    assert all(digest(Path(each)) == digest(folder / "ready.onnx") for each in places)
    assert lines == [
        "add 1.0.0: training",
        f"add 1.0.0: published to {places[0]}, auc 0.91",
        "add 2.0.0: training",
        f"add 2.0.0: published to {places[1]}, auc 0.91",
    ]


def test_only_what_is_missing_is_trained(folder: Path) -> None:
    publish_function(folder, say=lambda _: None)
    (folder / "published" / "add-v2.onnx").unlink()
    lines: list[str] = []
    published = publish_function(folder, only_missing=True, say=lines.append)
    assert trained(folder) == ["1.0.0", "2.0.0", "2.0.0"]
    assert [each.uploaded for each in published] == [False, True]
    assert lines[0] == f"add 1.0.0: already at {folder / 'published' / 'add-v1.onnx'}"


def test_training_again_to_the_same_bytes_changes_nothing(folder: Path) -> None:
    publish_function(folder, say=lambda _: None)
    lines: list[str] = []
    assert not any(each.uploaded for each in publish_function(folder, say=lines.append))
    assert lines[1] == f"add 1.0.0: already at {folder / 'published' / 'add-v1.onnx'}, auc 0.91"


def test_training_to_other_bytes_is_refused_unless_overwriting(folder: Path) -> None:
    publish_function(folder, say=lambda _: None)
    model(folder, "ready.onnx", value=3.0)
    with pytest.raises(AlreadyPublished):
        publish_function(folder, say=lambda _: None)
    assert all(each.uploaded for each in publish_function(folder, overwrite=True, say=lambda _: None))


@pytest.mark.parametrize(
    ("trainer", "reason"),
    [
        ("x = 1", r"it has no function train\(version, out\)"),
        ("import no_such_library", r"No module named 'no_such_library'; pip install 'scalezero\[train\]'"),
        ("def train(version, out): return 1 / 0", "ZeroDivisionError: division by zero"),
        ("def train(", "SyntaxError"),
    ],
)
def test_a_trainer_that_fails_is_told_with_its_file(folder: Path, trainer: str, reason: str) -> None:
    (folder / "train.py").write_text(trainer)
    with pytest.raises(TrainingFailed, match=rf"train\.py: .*{reason}"):
        publish_function(folder, say=lambda _: None)


def test_without_a_trainer_all_that_is_missing_is_told_first_with_both_ways_out(folder: Path) -> None:
    (folder / "train.py").unlink()
    lines: list[str] = []
    with pytest.raises(
        TrainingFailed, match=r"train\.py: there is no such file; write one with train\(version"
    ) as told:
        publish_function(folder, say=lines.append)
    for major in (1, 2):
        assert f"scalezero publish FILE {folder / 'published' / f'add-v{major}.onnx'}" in told.value.message
    assert lines == []


def test_without_a_trainer_what_is_there_is_no_obstacle(folder: Path) -> None:
    publish_function(folder, say=lambda _: None)
    (folder / "train.py").unlink()
    assert not any(each.uploaded for each in publish_function(folder, only_missing=True, say=lambda _: None))
    (folder / "published" / "add-v2.onnx").unlink()
    with pytest.raises(TrainingFailed, match=r"FILE [^,]*add-v2\.onnx$"):
        publish_function(folder, only_missing=True, say=lambda _: None)


def test_a_folder_without_resources_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadManifest, match=r"folder: got no \*\.yaml in it; expected at least one manifest"):
        publish_function(tmp_path)


@pytest.mark.parametrize(
    ("body", "facts"),
    [
        ("return None", ["train returned None", "path, the ONNX file, and metrics"]),
        ("return out / 'm.onnx'", ["m.onnx", "path, the ONNX file, and metrics"]),
        ("return Trained(out / 'm.onnx', {})", ["m.onnx, which is no file"]),
        ("return Trained(ready(out), {'auc': 'good'})", ["'auc'", "'good' (str)", "expected a number"]),
        ("raise ValueError('too few rows')", ["ValueError: too few rows (at train.py:11)"]),
        ("import sys; sys.exit(3)", ["SystemExit: 3 (at train.py:11)"]),
    ],
)
def test_what_train_returns_or_raises_wrongly_is_one_sentence_and_publishes_nothing(
    folder: Path, body: str, facts: list[str]
) -> None:
    (folder / "train.py").write_text(
        "from collections import namedtuple\n"
        "from pathlib import Path\n"
        "from shutil import copy\n"
        "from beside import FOLDER\n\n"
        "Trained = namedtuple('Trained', 'path metrics')\n\n"
        "def ready(out):\n    return Path(copy(FOLDER / 'ready.onnx', out / 'm.onnx'))\n"
        f"def train(version, out):\n    {body}\n"
    )
    with pytest.raises(TrainingFailed) as caught:
        publish_function(folder)
    for fact in (str(folder / "train.py"), *facts):
        assert fact in str(caught.value)
    assert not (folder / "published").exists()


def test_a_file_that_is_no_model_is_not_published_from_a_folder_either(folder: Path) -> None:
    (folder / "ready.onnx").write_bytes(b"foo")
    with pytest.raises(InvalidModel, match="not an ONNX model"):
        publish_function(folder)
    assert not (folder / "published").exists()
