"""The measurements as a table for people."""

from dataclasses import replace

from runtime.variants import table
from runtime.variants.values import OPENVINO_PROVIDER, ORIGINAL, Measurement
from tests.runtime.variants.recorded import assessment

MEASURED = replace(
    assessment("intel-amx", {}, chosen="int8-nncf"),
    metric="auc",
    reason="2.00 x as fast",
    measurements=(
        Measurement(variant=ORIGINAL, provider="CPUExecutionProvider", one_row=0.01, full_batch=0.08, speedup=1.0),
        Measurement(variant="int8-nncf", provider="CPUExecutionProvider", one_row=0.005, full_batch=0.04, loss=0.001),
        Measurement(variant="openvino", provider=OPENVINO_PROVIDER, rejected="it offers no device"),
    ),
)


def test_each_candidate_has_a_row_with_its_verdict() -> None:
    assert table.columns(MEASURED)[2:] == ("ROWS/S AT 1", "ROWS/S AT 8", "SPEEDUP", "AUC", "LOSS", "VERDICT")
    assert list(table.rows(MEASURED)) == [
        (ORIGINAL, "CPU", "100", "100", "1.00 x", "-", "-", "usable"),
        ("int8-nncf", "CPU", "200", "200", "-", "-", "0.0010", "chosen"),
        ("openvino", "OpenVINO", "-", "-", "-", "-", "-", "it offers no device"),
    ]


def test_the_text_has_the_table_the_bounds_and_the_reason() -> None:
    lines = table.text(MEASURED).splitlines()
    assert lines[0].startswith("VARIANT    PROVIDER  ROWS/S AT 1")
    assert lines[-3:] == [
        "on intel-amx, with 1 thread, at 2026-01-01",
        "bounds: a speedup of at least 1.1, a loss of at most 0.01",
        "chosen: int8-nncf: 2.00 x as fast",
    ]


def test_the_newest_assessment_of_each_class_decides() -> None:
    older = replace(MEASURED, measured_at="2025-01-01", chosen=ORIGINAL)
    other = replace(MEASURED, cpu_class="amd-avx2", chosen=ORIGINAL)
    assert table.choices([MEASURED, older, other]) == "amd-avx2 original, intel-amx int8-nncf"
    assert table.choices([]) == "-"
