"""The published models are those of the package, with metrics and data from drawn images."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from click.testing import CliRunner

from functions.document_text import package
from functions.document_text.recognition import CLASSES
from functions.document_text.samples import lines, pages
from functions.document_text.train import TrainedModel, main, train


def test_the_models_are_those_of_the_package(trained: Mapping[str, TrainedModel]) -> None:
    for name, model in trained.items():
        assert model.path.name == f"{name}-v1.onnx"
        package.check(name, model.path.read_bytes())


def test_most_drawn_lines_are_found_and_read(trained: Mapping[str, TrainedModel]) -> None:
    assert trained["document-text"].metrics == {"lines_found": pytest.approx(1, abs=0.1)}
    assert trained["text-angle"].metrics == {"angles_right": pytest.approx(1, abs=0.1)}
    assert trained["text-recognition"].metrics == {"lines_read": pytest.approx(1, abs=0.1)}


def test_the_data_fit_the_models(trained: Mapping[str, TrainedModel]) -> None:
    shapes = {
        "document-text": (4, 3, 736, 736),
        "text-angle": (24, 3, 48, 192),
        "text-recognition": (24, 3, 48, 320),
    }
    for name, model in trained.items():
        assert model.calibration["x"].shape == model.evaluation["x"].shape == shapes[name]
        assert not np.array_equal(model.calibration["x"], model.evaluation["x"])
        expected = [model.evaluation[name] for name in model.evaluation if name != "x"]
        assert [each.tolist() for each in expected] == ([[0, 1] * 12] if name == "text-angle" else [])
        (given,) = onnxruntime.InferenceSession(model.path, providers=["CPUExecutionProvider"]).get_inputs()
        assert (given.name, given.type) == ("x", "tensor(float)")
    rows = trained["text-recognition"].evaluation["x"][:1]
    session = onnxruntime.InferenceSession(trained["text-recognition"].path, providers=["CPUExecutionProvider"])
    assert session.run(None, {"x": rows})[0].shape == (1, 40, len(CLASSES))


def test_the_same_seed_draws_the_same_images_and_another_one_does_not() -> None:
    for draw in (pages, lines):
        first, again, other = draw(2, seed=1), draw(2, seed=1), draw(2, seed=2)
        assert [each.texts for each in first] == [each.texts for each in again] != [each.texts for each in other]
        assert all(np.array_equal(one.pixels, two.pixels) for one, two in zip(first, again, strict=True))


def test_an_unknown_version_or_model_is_an_error_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"version: got '9'; expected 1\.0\.0"):
        train("9", tmp_path, "document-text")
    with pytest.raises(
        ValueError, match=r"model: got 'x'; expected one of document-text, text-angle, text-recognition"
    ):
        train("1.0.0", tmp_path, "x")


def test_the_command_prints_the_metrics_and_the_files(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert "document-text 1.0.0: lines_found " in done.output
    assert "text-recognition 1.0.0: lines_read " in done.output
    assert {each.name for each in tmp_path.iterdir()} == {f"{name}-v1.onnx" for name in package.MODELS}
