"""Training and publishing of a folder: missing versions are trained, published ones stay."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from knative.function.publishing import plan_function, publish_function
from knative.function.training import TrainingFailed
from knative.resources import BadManifest
from runtime.cli import scalezero
from runtime.errors import InvalidModel
from runtime.registry import AlreadyPublished, Publication, manifest_uri, publish_model, require_manifest
from runtime.registry.files import delete
from tests.runtime.registry.model_files import digest, model

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
    published = publish_function(folder, report=lines.append)
    places = [str(folder / "published" / f"add-v{major}.onnx") for major in (1, 2)]
    assert [each.uri for each in published] == places
    assert all(digest(Path(each)) == digest(folder / "ready.onnx") for each in places)
    assert lines == [
        "add 1.0.0: training",
        f"add 1.0.0: published to {places[0]}, auc 0.91",
        "add 2.0.0: training",
        f"add 2.0.0: published to {places[1]}, auc 0.91",
    ]


def test_only_missing_versions_are_trained(folder: Path) -> None:
    publish_function(folder, report=lambda _: None)
    (folder / "published" / "add-v2.onnx").unlink()
    lines: list[str] = []
    published = publish_function(folder, only_missing=True, report=lines.append)
    assert trained(folder) == ["1.0.0", "2.0.0", "2.0.0"]
    assert [each.uploaded for each in published] == [False, True]
    assert lines[0] == f"add 1.0.0: already at {folder / 'published' / 'add-v1.onnx'}"


def test_publishing_the_same_bytes_again_changes_nothing(folder: Path) -> None:
    publish_function(folder, report=lambda _: None)
    lines: list[str] = []
    assert not any(each.uploaded for each in publish_function(folder, report=lines.append))
    assert lines[1] == f"add 1.0.0: already at {folder / 'published' / 'add-v1.onnx'}, auc 0.91"


def test_publishing_other_bytes_is_refused(folder: Path) -> None:
    publish_function(folder, report=lambda _: None)
    model(folder, "ready.onnx", value=3.0)
    with pytest.raises(AlreadyPublished):
        publish_function(folder, report=lambda _: None)


@pytest.mark.parametrize(
    ("trainer", "reason"),
    [
        ("x = 1", r"the file does not define train\(version, out\)"),
        ("import no_such_library", r"No module named 'no_such_library'; install it: pip install 'scalezero\[train\]'"),
        ("def train(version, out): return 1 / 0", "ZeroDivisionError: division by zero"),
        ("def train(", "SyntaxError"),
    ],
)
def test_the_error_of_a_failed_trainer_names_its_file(folder: Path, trainer: str, reason: str) -> None:
    (folder / "train.py").write_text(trainer)
    with pytest.raises(TrainingFailed, match=rf"train\.py: .*{reason}"):
        publish_function(folder, report=lambda _: None)


def test_without_a_trainer_the_error_lists_all_missing_versions_and_both_solutions(folder: Path) -> None:
    (folder / "train.py").unlink()
    lines: list[str] = []
    with pytest.raises(
        TrainingFailed, match=r"train\.py: the file does not exist; write it with train\(version"
    ) as caught:
        publish_function(folder, report=lines.append)
    for major in (1, 2):
        assert f"scalezero publish FILE {folder / 'published' / f'add-v{major}.onnx'}" in caught.value.message
    assert lines == []


def test_without_a_trainer_published_versions_are_accepted(folder: Path) -> None:
    publish_function(folder, report=lambda _: None)
    (folder / "train.py").unlink()
    assert not any(each.uploaded for each in publish_function(folder, only_missing=True, report=lambda _: None))
    (folder / "published" / "add-v2.onnx").unlink()
    with pytest.raises(TrainingFailed, match=r"FILE [^,]*add-v2\.onnx$"):
        publish_function(folder, only_missing=True, report=lambda _: None)


def test_publishing_a_folder_without_manifests_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadManifest, match=r"folder: got no manifest; expected at least one \*\.yaml"):
        publish_function(tmp_path)


@pytest.mark.parametrize(
    ("body", "facts"),
    [
        ("return None", ["train returned None", "path, the ONNX file, and metrics"]),
        ("return out / 'm.onnx'", ["m.onnx", "path, the ONNX file, and metrics"]),
        ("return Trained(out / 'm.onnx', {})", ["m.onnx, which is not a file"]),
        ("return Trained(ready(out), {'auc': 'good'})", ["'auc'", "'good' (str)", "expected a number"]),
        ("raise ValueError('too few rows')", ["ValueError: too few rows (at train.py:11)"]),
        ("import sys; sys.exit(3)", ["SystemExit: 3 (at train.py:11)"]),
    ],
)
def test_an_invalid_result_or_exception_of_train_is_one_error_and_nothing_is_published(
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


def test_a_file_that_is_not_a_model_is_not_published_from_a_folder(folder: Path) -> None:
    (folder / "ready.onnx").write_bytes(b"foo")
    with pytest.raises(InvalidModel, match="not an ONNX model"):
        publish_function(folder)
    assert not (folder / "published").exists()


def test_each_published_version_has_a_manifest_with_its_name_version_and_metrics(folder: Path) -> None:
    published = publish_function(folder, report=lambda _: None)
    manifests = [require_manifest(each.uri) for each in published]
    assert [each.title for each in manifests] == ["add:1.0.0", "add:2.0.0"]
    assert [each.metrics for each in manifests] == [{"auc": 0.91}] * 2


def test_a_published_version_without_a_manifest_gets_one_without_training(folder: Path) -> None:
    uris = [each.uri for each in publish_function(folder, report=lambda _: None)]
    Path(manifest_uri(uris[0])).unlink()
    lines: list[str] = []
    publish_function(folder, only_missing=True, report=lines.append)
    assert lines == [
        f"add 1.0.0: already at {uris[0]}",
        "add 1.0.0: it had no manifest, which was added",
        f"add 2.0.0: already at {uris[1]}",
    ]
    assert trained(folder) == ["1.0.0", "2.0.0"]
    assert require_manifest(uris[0]).title == "add:1.0.0"


def test_a_manifest_that_cannot_be_added_is_reported_and_does_not_fail(folder: Path) -> None:
    uri = publish_function(folder, report=lambda _: None)[0].uri
    Path(manifest_uri(uri)).write_text("[]")
    lines: list[str] = []
    assert len(publish_function(folder, only_missing=True, report=lines.append)) == 2
    assert lines[1].startswith("add 1.0.0: its manifest could not be read or added: ")


def planned(folder: Path) -> list[str]:
    """Return the lines of a dry run."""
    return list(map(str, plan_function(folder)))


def test_a_dry_run_lists_what_is_missing_and_trains_nothing(folder: Path) -> None:
    first, second = (folder / "published" / f"add-v{major}.onnx" for major in (1, 2))
    assert planned(folder) == [
        f"add 1.0.0: upload  {first}, after its training",
        f"add 1.0.0: upload  {first}.manifest.json",
        f"add 2.0.0: upload  {second}, after its training",
        f"add 2.0.0: upload  {second}.manifest.json",
    ]
    assert trained(folder) == []
    publish_function(folder, report=lambda _: None)
    Path(f"{first}.manifest.json").unlink()
    Path(f"{second}.manifest.json").write_text("[]")
    facts = [f"sha256 {digest(each)}, {each.stat().st_size} bytes" for each in (first, second)]
    lines = planned(folder)
    assert lines[:3] == [
        f"add 1.0.0: exists  {first}, {facts[0]}",
        f"add 1.0.0: upload  {first}.manifest.json",
        f"add 2.0.0: exists  {second}, {facts[1]}",
    ]
    assert lines[3].startswith(f"add 2.0.0: refuse  {second}.manifest.json, this is not a manifest that can be read: ")


def test_a_dry_run_refuses_what_cannot_be_trained(folder: Path) -> None:
    (folder / "train.py").unlink()
    with pytest.raises(TrainingFailed, match="the file does not exist"):
        list(plan_function(folder))
    plan = plan_function(folder)
    assert str(next(plan)) == f"add 1.0.0: refuse  {folder / 'published' / 'add-v1.onnx'}, as there is no train.py"


def test_a_manifest_of_another_version_than_declared_is_reported(folder: Path) -> None:
    uris = [each.uri for each in publish_function(folder, report=lambda _: None)]
    delete(manifest_uri(uris[0]))
    publish_model(Path(uris[0]), uris[0], Publication("add", "3"))
    lines: list[str] = []
    publish_function(folder, only_missing=True, report=lines.append)
    assert lines[1].startswith("add 1.0.0: its manifest is of another name or version: ")
    assert "already published as add:3, and not as add:1.0.0" in lines[1]
    assert planned(folder)[1].startswith("add 1.0.0: refuse  ")


def test_a_version_with_the_path_of_an_earlier_one_serves_its_artifact(folder: Path) -> None:
    """It is declared for newer variants or companions, and has the same bytes."""
    second = VERSION.format(major=2).replace("add-v2.onnx", "add-v1.onnx")
    (folder / "model.yaml").write_text(VERSION.format(major=1) + "---" + second)
    place, shared = folder / "published" / "add-v1.onnx", "add 2.0.0: serves the artifact of add 1.0.0"
    assert planned(folder) == [
        f"add 1.0.0: upload  {place}, after its training",
        f"add 1.0.0: upload  {place}.manifest.json",
        f"add 2.0.0: shared  {place}, the artifact of add 1.0.0",
    ]
    lines: list[str] = []
    (new,) = publish_function(folder, only_missing=True, report=lines.append)
    assert (new.uploaded, lines[-1], trained(folder)) == (True, shared, ["1.0.0"])
    for only_missing in (True, False):
        lines.clear()
        (same,) = publish_function(folder, only_missing=only_missing, report=lines.append)
        assert (same.uploaded, lines[-1]) == (False, shared)
    steps = list(plan_function(folder))
    assert [(each.version, each.state) for each in steps] == [
        ("1.0.0", "exists"),
        ("1.0.0", "exists"),
        ("2.0.0", "shared"),
    ]
    assert require_manifest(str(place)).title == "add:1.0.0"
    (folder / "train.py").unlink()
    (published,) = publish_function(folder, only_missing=True, report=lambda _: None)
    assert published.uri == str(place)


def test_without_a_trainer_a_shared_path_is_listed_once(folder: Path) -> None:
    (folder / "model.yaml").write_text((folder / "model.yaml").read_text().replace("add-v2.onnx", "add-v1.onnx"))
    (folder / "train.py").unlink()
    with pytest.raises(TrainingFailed) as caught:
        publish_function(folder, report=lambda _: None)
    assert caught.value.message.count("scalezero publish FILE") == 1


def test_the_command_accepts_a_dry_run_of_a_folder(folder: Path) -> None:
    result = CliRunner().invoke(scalezero, ["publish", str(folder), "--dry-run"])
    assert result.exit_code == 0
    assert len(result.output.splitlines()) == 4
    assert trained(folder) == []


def test_the_result_of_a_folder_is_json_on_request(folder: Path) -> None:
    train = TRAINER.replace("out):\n", "out):\n    print('an author may print')\n", 1)
    (folder / "train.py").write_text(train)
    arguments = ["publish", str(folder), "-o", "json"]
    steps = json.loads(CliRunner().invoke(scalezero, [*arguments, "--dry-run"]).stdout)
    assert [(each["version"], each["state"]) for each in steps[::2]] == [("1.0.0", "upload"), ("2.0.0", "upload")]
    published = json.loads(CliRunner().invoke(scalezero, arguments).stdout)
    assert [each["uri"] for each in published] == [each["uri"] for each in steps[::2]]
    assert [each["uploaded"] for each in published] == [True, True]


SEVERAL = TRAINER.replace("def train(version, out):", "def train(version, out, model):").replace(
    "log.write(version", "log.write(model + '-' + version"
)


def declare_reader(folder: Path, major: int) -> None:
    """Add a version of a second model to the folder."""
    with (folder / "model.yaml").open("a") as file:
        file.write("---" + VERSION.format(major=major).replace("add", "reader"))


def test_train_gets_the_name_of_the_model_if_it_has_a_parameter_for_it(folder: Path) -> None:
    declare_reader(folder, 1)
    (folder / "train.py").write_text(SEVERAL)
    lines: list[str] = []
    publish_function(folder, report=lines.append)
    assert trained(folder) == ["add-1.0.0", "add-2.0.0", "reader-1.0.0"]
    assert (folder / "published" / "reader-v1.onnx").is_file()
    assert lines[-1].startswith("reader 1.0.0: published to ")


def test_train_without_the_parameter_trains_several_models_only_if_their_versions_differ(folder: Path) -> None:
    declare_reader(folder, 3)
    publish_function(folder, report=lambda _: None)
    assert trained(folder) == ["1.0.0", "2.0.0", "3.0.0"]


def test_train_without_the_parameter_is_refused_before_any_training_if_two_models_have_one_version(
    folder: Path,
) -> None:
    declare_reader(folder, 2)
    message = (
        r"cannot tell the models add, reader apart: all have a version 2\.0\.0; write train\(version, out, model\)"
    )
    with pytest.raises(TrainingFailed, match=message):
        publish_function(folder, report=lambda _: None)
    assert trained(folder) == []


def test_published_models_need_no_parameter_of_train(folder: Path) -> None:
    """Only a model that is missing is trained."""
    declare_reader(folder, 2)
    (folder / "train.py").write_text(SEVERAL)
    publish_function(folder, report=lambda _: None)
    (folder / "train.py").write_text(TRAINER)
    published = publish_function(folder, only_missing=True, report=lambda _: None)
    assert [each.uploaded for each in published] == [False, False, False]
