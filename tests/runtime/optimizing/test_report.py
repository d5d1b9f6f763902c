"""Tests of the table, the JSON document and the plot of a result."""

import json
from itertools import combinations
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from runtime.optimizing import CandidateFile, Optimized, OptimizingFailed
from runtime.optimizing.plot import spread
from runtime.optimizing.report import document, plot_place, save
from runtime.variants.table import columns, rows
from runtime.variants.values import CPU_PROVIDER, OPENVINO_PROVIDER, Assessment, Cost, Measurement
from tests.assessments import assessment_of


def assessment(*, batch_size: int = 32, metric: str | None = "accuracy", chosen: str = "int8-nncf") -> Assessment:
    judged = metric is not None
    return assessment_of(
        (
            measurement("original", 1.0, loss=0.0 if judged else None),
            measurement("int8-nncf", 2.5, loss=0.001 if judged else None),
            measurement("int8-dynamic", 2.0, loss=-0.002 if judged else None),
            measurement("int8-static-u8s8", 3.0, loss=0.2 if judged else None, rejected="too inaccurate"),
            Measurement(variant="openvino", provider=OPENVINO_PROVIDER, rejected="no device"),
        ),
        chosen=chosen,
        batch_size=batch_size,
        metric=metric,
        score=0.97 if judged else None,
    )


def measurement(name: str, speedup: float, *, loss: float | None, rejected: str | None = None) -> Measurement:
    return Measurement(
        variant=name,
        provider=CPU_PROVIDER,
        one_row=0.001 / speedup,
        full_batch=2.0 / speedup,
        cost=Cost(fixed=0.0, per_row=0.001),
        speedup=speedup,
        score=None if loss is None else 0.97 - loss,
        loss=loss,
        rejected=rejected,
    )


def test_the_table_has_speeds_score_loss_and_a_verdict_for_each_candidate() -> None:
    found = assessment()
    assert columns(found)[2:7] == ("ROWS/S AT 1", "ROWS/S AT 32", "SPEEDUP", "ACCURACY", "LOSS")
    assert list(rows(found)) == [
        ("original", "CPU", "1,000", "16", "1.00 x", "0.9700", "0.0000", "usable"),
        ("int8-nncf", "CPU", "2,500", "40", "2.50 x", "0.9690", "0.0010", "chosen"),
        ("int8-dynamic", "CPU", "2,000", "32", "2.00 x", "0.9720", "-0.0020", "usable"),
        ("int8-static-u8s8", "CPU", "3,000", "48", "3.00 x", "0.7700", "0.2000", "too inaccurate"),
        ("openvino", "OpenVINO", "-", "-", "-", "-", "-", "no device"),
    ]


def test_without_rows_there_is_one_speed() -> None:
    found = assessment(batch_size=1, metric=None, chosen="original")
    assert columns(found) == ("VARIANT", "PROVIDER", "ROWS/S AT 1", "SPEEDUP", "SCORE", "LOSS", "VERDICT")
    assert next(rows(found)) == ("original", "CPU", "1,000", "1.00 x", "-", "-", "chosen")


def test_the_document_has_the_assessment_and_the_files() -> None:
    file = CandidateFile("int8-nncf", CPU_PROVIDER, "int8", Path("out/int8-nncf.onnx"))
    found = json.loads(json.dumps(document(Optimized((file,), assessment()), name="m")))
    assert found["model"] == "m"
    assert found["assessment"]["chosen"] == "int8-nncf"
    assert found["assessment"]["measurements"][3]["rejected"] == "too inaccurate"
    assert found["files"] == [
        {"variant": "int8-nncf", "provider": CPU_PROVIDER, "precision": "int8", "path": "out/int8-nncf.onnx"}
    ]


@pytest.mark.parametrize("metric", ["accuracy", None])
def test_the_report_is_saved_as_json_and_as_a_plot(tmp_path: Path, metric: str | None) -> None:
    out = tmp_path / "new" / "out"
    save(Optimized((), assessment(metric=metric)), out=out, plot=tmp_path / "plots" / "m.png", name="m")
    assert json.loads((out / "report.json").read_text())["assessment"]["metric"] == metric
    image = matplotlib.image.imread(tmp_path / "plots" / "m.png")
    assert image.shape[:2] == (660, 1080)
    assert len(np.unique(image.reshape(-1, image.shape[2]), axis=0)) > 10


def test_the_labels_of_close_markers_do_not_overlap() -> None:
    markers = [(f"int8-{index}", 100.0 + index % 3, 50.0 + index) for index in range(8)]
    labels = spread([*markers, ("far", 10.0, 51.0)], right=400)
    assert [pair for pair in combinations(labels, 2) if pair[0].meets(pair[1])] == []
    assert next(each for each in labels if each.text == "far").bottom == 56


def test_a_label_at_the_right_end_is_left_of_its_marker() -> None:
    (label,) = spread([("int8-nncf", 390.0, 50.0)], right=400)
    assert label.left + label.width < 390


def test_a_report_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OptimizingFailed, match=r"the report cannot be written: .*out: File exists"):
        save(Optimized((), assessment()), out=tmp_path / "out", plot=tmp_path / "m.png", name="m")


@pytest.mark.parametrize(
    ("report", "only", "expected"),
    [
        (None, True, "m.variants/report.png"),
        (None, False, "m.variants/report.png"),
        ("plot.png", True, "plot.png"),
        ("plot.PNG", True, "plot.PNG"),
        ("plots", True, "plots/report.png"),
        ("plots", False, "plots/m.variants.png"),
    ],
)
def test_the_plot_is_where_the_option_says(report: str | None, expected: str, *, only: bool) -> None:
    place = plot_place(None if report is None else Path(report), Path("m.variants"), only=only)
    assert place == Path(expected)
