"""Tests of a whole optimization, with real models and the real libraries."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from runtime.model.session import Session
from runtime.optimizing import BadData, Bounds, Data, Optimized, OptimizingFailed, Step, data_from, optimize
from runtime.optimizing.candidates import METHODS
from runtime.optimizing.choosing import NO_DATA
from runtime.optimizing.values import RowsRejected
from runtime.variants.cpu_class import cpu_class
from runtime.variants.values import CPU_PROVIDER, ORIGINAL
from runtime.variants.values_json import assessment as read_assessment
from runtime.variants.values_json import data_of
from tests.models import constant, lookup, pairs
from tests.runtime.optimizing import optimizable_models as models

RANDOM = np.random.default_rng(11)
LOOSE = Bounds(max_accuracy_loss=0.5, min_speedup=0.0)  # so that the machine's speed decides nothing
INT8 = ["int8-dynamic", "int8-static-u8s8", "int8-static-s8s8", "int8-nncf"]
WIDE = 768  # the weights are larger than a core's cache, so int8 is faster on every CPU


def rows(count: int, width: int) -> np.ndarray:
    return RANDOM.standard_normal((count, width)).astype(np.float32)


def run(
    path: Path,
    *,
    calibration: Data | None = None,
    evaluation: Data | None = None,
    bounds: Bounds = LOOSE,
    steps: list[Step] | None = None,
) -> Optimized:
    progress = None if steps is None else steps.append
    return optimize(
        path,
        out=path.parent / "out",
        calibration=calibration,
        evaluation=evaluation,
        bounds=bounds,
        batch_size=8,
        name="m",
        progress=progress,
    )


def on_cpu(found: Optimized) -> dict[str, str | None]:
    """Return the rejection of each candidate on the CPU provider."""
    return {each.variant: each.rejected for each in found.assessment.measurements if each.provider == CPU_PROVIDER}


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Optimized, list[Step]]:
    """Optimize a wide perceptron, with data."""
    path = models.mlp(tmp_path_factory.mktemp("wide") / "m.onnx", width=WIDE)
    data = Data({"x": rows(100, WIDE)})
    steps: list[Step] = []
    return path, run(path, calibration=data, evaluation=Data({"x": rows(20, WIDE)}), steps=steps), steps


def test_every_candidate_is_measured_and_judged(wide: tuple[Path, Optimized, list[Step]]) -> None:
    assessment = wide[1].assessment
    measured = [each for each in assessment.measurements if each.provider == CPU_PROVIDER]
    assert [each.variant for each in measured] == [ORIGINAL, *INT8]
    for each in measured:
        assert each.one_row is not None
        assert each.full_batch is not None
        assert 0 < each.one_row < each.full_batch * 2
        assert each.cost is not None
        assert each.speedup is not None
        assert each.score is not None
        assert each.loss == pytest.approx(1 - each.score)
        assert 0.9 < each.score <= 1
    assert (assessment.cpu_class, assessment.threads, assessment.batch_size) == (cpu_class(), 1, 8)
    assert (assessment.metric, assessment.score) == ("agreement", 1.0)
    assert {"nncf", "onnx", "onnxruntime"} <= assessment.packages.keys()


def test_the_fastest_candidate_is_chosen_and_its_file_is_kept(wide: tuple[Path, Optimized, list[Step]]) -> None:
    path, found, _ = wide
    assessment = found.assessment
    assert assessment.chosen != ORIGINAL
    files = {each.name: each for each in found.candidates}
    assert set(files) == {each.variant for each in assessment.measurements if not each.rejected} - {ORIGINAL}
    chosen = files[assessment.chosen]
    assert chosen.precision == "int8"
    assert chosen.path.parent == path.parent / "out"
    assert Session(chosen.path, uri="m", name="m", threads=1).signature.inputs[0].name == "x"
    assert models.has_int8_weights(chosen.path)


def test_only_the_files_of_usable_candidates_are_left(wide: tuple[Path, Optimized, list[Step]]) -> None:
    """A candidate that only names another provider has the file of the original, which is not in the folder."""
    path, found, _ = wide
    out = path.parent / "out"
    assert set(out.iterdir()) == {each.path for each in found.candidates if each.path.parent == out}
    assert {each.path for each in found.candidates if each.path.parent != out} <= {path}


def test_the_assessment_survives_json(wide: tuple[Path, Optimized, list[Step]]) -> None:
    assessment = wide[1].assessment
    assert read_assessment(json.loads(json.dumps(data_of(assessment))), "") == assessment


def test_each_step_is_reported_before_it_is_done(wide: tuple[Path, Optimized, list[Step]]) -> None:
    steps = wide[2]
    assert [each.done for each in steps] == list(range(steps[0].total))
    assert [each.text for each in steps[:3]] == [
        "measuring the original",
        "making int8-dynamic",
        "making int8-static-u8s8",
    ]


def test_without_data_the_original_stays_and_speeds_are_measured(tmp_path: Path) -> None:
    found = run(models.mlp(tmp_path / "m.onnx"))
    assert found.assessment.chosen == ORIGINAL
    assert found.candidates == ()
    assert (found.assessment.metric, found.assessment.score) == (None, None)
    assert on_cpu(found)["int8-dynamic"] == NO_DATA
    assert "no calibration data" in (on_cpu(found)["int8-nncf"] or "")
    assert list((tmp_path / "out").iterdir()) == []


def test_labels_are_judged_by_their_metric(tmp_path: Path) -> None:
    path = models.linear_classifier(tmp_path / "m.onnx")
    signature = Session(path, uri="m", name="m", threads=1).signature
    x = rows(20, 2)
    right = (x[:, 1] > x[:, 0]).astype(np.int64)
    labels = np.where(np.arange(20) < 5, 1 - right, right)
    found = run(path, evaluation=data_from({"x": x, "label": labels}, signature))
    assert (found.assessment.metric, found.assessment.score) == ("accuracy", 0.75)
    assert all("no operator" in (on_cpu(found)[each] or "") for each in INT8[:1])


def test_labels_that_do_not_fit_are_an_error(tmp_path: Path) -> None:
    data = Data({"x": rows(4, 16)}, {"y": np.array([9, 1, 2, 3])})
    with pytest.raises(BadData, match=r"m: y: got labels that do not fit; expected .* 0 to 3"):
        run(models.mlp(tmp_path / "m.onnx"), evaluation=data)


def test_rows_on_which_the_model_fails_are_an_error(tmp_path: Path) -> None:
    data = Data({"index": np.array([0, 99])})
    with pytest.raises(BadData, match="m: data: got rows on which the model fails"):
        run(lookup(tmp_path / "m.onnx"), evaluation=data)


def test_rows_without_any_finite_output_are_an_error(tmp_path: Path) -> None:
    data = Data({"x": np.full((4, 4), -1, np.float32)})
    with pytest.raises(BadData, match="each output of the model is NaN or infinite"):
        run(models.logarithm(tmp_path / "m.onnx"), evaluation=data)


@pytest.mark.parametrize("value", [-1.0, 0.0])
def test_rows_for_which_the_output_with_labels_is_not_finite_are_an_error(tmp_path: Path, value: float) -> None:
    x = np.full((4, 4), 2.0, np.float32)
    x[3, 1] = value  # its logarithm is NaN or -inf
    data = Data({"x": x}, {"y": rows(4, 4)})
    with pytest.raises(BadData, match=r"m: y: got rows for which this output is NaN or infinite; expected .* finite"):
        run(models.logarithm(tmp_path / "m.onnx"), evaluation=data)


def test_a_candidate_whose_output_with_labels_is_not_finite_is_rejected(tmp_path: Path) -> None:
    path = models.mlp(tmp_path / "m.onnx")
    diverged = onnx.load(path)
    for each in diverged.graph.initializer:
        each.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(each) * np.float32(1e30), each.name))
    onnx.save(diverged, tmp_path / "diverged.onnx")
    found = optimize(
        path,
        out=tmp_path / "out",
        calibration=None,
        evaluation=Data({"x": rows(8, 16)}, {"y": np.arange(8) % 4}),
        bounds=LOOSE,
        batch_size=8,
        name="m",
        published=dict.fromkeys(METHODS, tmp_path / "diverged.onnx"),
    )
    assert {on_cpu(found)[each] for each in INT8} == {"its output has NaN or infinity"}
    assert found.assessment.chosen == ORIGINAL


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    path = models.mlp(tmp_path / "m.onnx")
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OptimizingFailed, match="out: File exists"):
        run(path)


def test_a_model_that_fails_on_generated_rows_needs_data(tmp_path: Path) -> None:
    """A dynamic size is 1 in generated rows, and 1 is too small for this convolution."""
    path = models.convolution(tmp_path / "m.onnx", size=("h", "w"), pad=0)
    message = r"m: .* the model fails on the rows to measure: .*; state calibration or evaluation data"
    with pytest.raises(RowsRejected, match=message):
        run(path)
    data = Data({"x": RANDOM.standard_normal((4, 3, 8, 8)).astype(np.float32)})
    assert run(path, evaluation=data).assessment.metric == "agreement"


def test_a_model_that_fails_on_parts_of_the_data_is_an_error_that_advises_no_other_data(tmp_path: Path) -> None:
    with pytest.raises(RowsRejected) as caught:
        run(pairs(tmp_path / "m.onnx"), evaluation=Data({"x": rows(8, 3)}))
    assert "state" not in caught.value.message


def test_a_model_without_inputs_cannot_be_measured(tmp_path: Path) -> None:
    with pytest.raises(OptimizingFailed, match="m: the variants cannot be made: the model has no inputs"):
        run(constant(tmp_path / "m.onnx"))
