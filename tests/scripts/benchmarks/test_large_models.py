"""Tests of the measurements of large models and of transfers, with small models and objects, and a real S3 server."""

import shutil
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from runtime.model.preparing import prepare
from scripts.benchmarks import large
from scripts.benchmarks.faults import CannotMeasure
from scripts.benchmarks.lab import Lab
from scripts.benchmarks.measures import large_model, transfers
from scripts.benchmarks.s3 import publish
from scripts.benchmarks.subjects import Subject

SIZE = 2**23  # bytes
needs_curl = pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")


def test_the_table_returns_the_vectors_of_its_rows(tmp_path: Path) -> None:
    rows = np.array(large.write_table(tmp_path / "table.onnx", size=SIZE))
    session = ort.InferenceSession(tmp_path / "table.onnx")
    (vectors,) = session.run(None, {"index": rows})
    assert vectors.shape == (large.ROWS, 8, large.VECTOR)
    (again,) = session.run(None, {"index": rows[1:]})
    assert np.array_equal(again, vectors[1:])


def test_the_weights_have_the_stated_size(tmp_path: Path) -> None:
    large.write_dense(tmp_path / "dense.onnx", size=SIZE, width=512)
    large.write_table(tmp_path / "table.onnx", size=SIZE)
    for name in ("dense", "table"):
        assert SIZE <= (tmp_path / f"{name}.onnx").stat().st_size < SIZE + 2000


def test_a_start_is_measured_with_a_prepared_form(lab: Lab, tmp_path: Path) -> None:
    rows = large.write_dense(tmp_path / "dense.onnx", size=SIZE, width=512)
    session = ort.InferenceSession(tmp_path / "dense.onnx")
    answers = [session.run(None, {"x": np.array([row], np.float32)})[0].ravel().tolist() for row in rows]
    prepared = prepare(tmp_path / "dense.onnx", tmp_path / "out", name="dense", only_faster=False)
    path = prepared.forms[0].model
    subject = Subject(path=path, rows=rows, answers=answers, input_name="x")
    start = large_model.start_once(lab, subject, publish(path, lab.s3))
    assert 0 < start.seconds < 60
    assert start.size > SIZE / 2**20
    assert start.peak > start.size


@needs_curl
def test_transfers_are_compared_with_curl(lab: Lab) -> None:
    found = transfers.Transfers(size=16).measures()
    upload, pull, memory = (found[name](lab) for name in ("upload", "pull", "rss_mib"))
    assert upload.ours > 0
    assert upload.floor > 0
    assert pull.ours > 0
    assert pull.extra["curl_alone"] > 0
    assert 0 < memory.ours < 64
    assert memory.ratio == memory.ours


@needs_curl
def test_a_floor_that_fails_is_an_error(lab: Lab) -> None:
    with pytest.raises(CannotMeasure, match="404"):
        transfers.run(lab, ["bash", "-euc", f"set -o pipefail; {transfers.curl(lab, 'missing')} | sha256sum"])
