"""Tests of the measurement of a session."""

import os
from pathlib import Path

import numpy as np
import pytest
from onnxruntime.quantization import quantize_dynamic

from runtime.model.session import Session
from runtime.optimizing import measuring
from tests.models import STRING, doubling, identity
from tests.runtime.optimizing import optimizable_models as models


def opened(path: Path) -> Session:
    return Session(path, uri="m", name="m", threads=1)


def test_the_pinned_thread_runs_on_one_core_and_the_caller_does_not() -> None:
    before = os.sched_getaffinity(0)
    with measuring.pinned() as executor:
        assert executor.submit(os.sched_getaffinity, 0).result() == {max(before)}
    assert os.sched_getaffinity(0) == before


def test_all_rows_run_in_runs_of_at_most_so_many_rows(tmp_path: Path) -> None:
    x = np.arange(14, dtype=np.float32).reshape(7, 2)
    (found,) = measuring.outputs_of(opened(doubling(tmp_path / "m.onnx")), [x], rows=3)
    assert np.array_equal(found, 2 * x)


def test_samples_run_one_by_one(tmp_path: Path) -> None:
    session = opened(models.mlp(tmp_path / "m.onnx", batch=2))
    assert measuring.rows_per_run(session.signature, 8) == 1
    (found,) = measuring.outputs_of(session, [np.ones((3, 2, 16), np.float32)], rows=1)
    assert found.shape == (6, 4)


def test_a_model_that_fixes_its_axis_to_one_row_runs_them_one_by_one(tmp_path: Path) -> None:
    session = opened(models.mlp(tmp_path / "m.onnx", batch=1))
    assert measuring.rows_per_run(session.signature, 8) == 1
    (found,) = measuring.outputs_of(session, [np.ones((3, 16), np.float32)], rows=1)
    assert found.shape == (3, 4)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_given_rows_are_repeated_as_needed(tmp_path: Path, count: int) -> None:
    signature = opened(doubling(tmp_path / "m.onnx")).signature
    rows = [np.array([[1, 2], [3, 4]], np.float32)]
    (feed,) = measuring.feed_of(signature, rows, count)
    assert feed.tolist() == (rows[0].tolist() * 4)[:count]


def test_generated_rows_fit_the_signature(tmp_path: Path) -> None:
    for path in (
        identity(tmp_path / "text.onnx", element=STRING, shape=("batch",)),
        models.attention(tmp_path / "attention.onnx"),
        models.mlp(tmp_path / "fixed.onnx", batch=2),
    ):
        session = opened(path)
        rows = measuring.rows_per_run(session.signature, 3)
        session.run(measuring.feed_of(session.signature, None, rows))


def test_a_slower_model_has_a_ratio_below_1(tmp_path: Path) -> None:
    small, large = opened(models.mlp(tmp_path / "a.onnx")), opened(models.mlp(tmp_path / "b.onnx", width=512))
    feeds = {each: [np.ones((each, 16), np.float32)] for each in (1, 4)}
    wide = {each: [np.ones((each, 512), np.float32)] for each in (1, 4)}
    assert measuring.seconds_of(large, wide)[4] > measuring.seconds_of(small, feeds)[4]


def test_the_speed_of_the_same_model_is_about_1(tmp_path: Path) -> None:
    session = opened(models.mlp(tmp_path / "m.onnx", width=256))
    with measuring.pinned() as executor:
        feeds = {each: [np.ones((each, 256), np.float32)] for each in (1, 2, 4)}
        speed = executor.submit(measuring.speed_of, session, session, feeds).result()
    assert 0.5 < speed.full_batch_ratio.median < 2
    assert speed.full_batch_ratio.low <= speed.full_batch_ratio.median <= speed.full_batch_ratio.high
    assert speed.cost is not None


def test_outputs_whose_shapes_differ_are_joined_flat(tmp_path: Path) -> None:
    assert measuring._joined([np.ones((1, 2)), np.ones((1, 3))]).shape == (5,)
    assert measuring._joined([np.ones(()), np.ones(())]).shape == (2,)


def test_rows_of_a_candidate_whose_runs_cannot_be_shared_run_one_by_one(tmp_path: Path) -> None:
    original = opened(models.mlp(tmp_path / "m.onnx"))
    candidate = opened(dynamically_quantized(tmp_path / "m.onnx", tmp_path / "dynamic.onnx"))
    alone = measuring.why_alone(original, candidate)
    assert alone is not None
    assert alone.startswith("operator DynamicQuantizeLinear: ")
    feeds = {rows: measuring.feed_of(original.signature, None, rows) for rows in (1, 8)}
    found = measuring.speed_of(original, candidate, feeds, alone=alone)
    assert found.alone == alone
    assert found.full_batch > 4 * found.one_row  # eight runs of one row


def test_runs_of_a_candidate_count_whole_if_those_of_the_original_cannot_be_shared_either(tmp_path: Path) -> None:
    original = opened(models.mlp(tmp_path / "m.onnx"))
    candidate = opened(dynamically_quantized(tmp_path / "m.onnx", tmp_path / "dynamic.onnx"))
    assert measuring.why_alone(candidate, candidate) is None
    assert measuring.why_alone(original, original) is None


def dynamically_quantized(path: Path, out: Path) -> Path:
    quantize_dynamic(path, out)
    return out
