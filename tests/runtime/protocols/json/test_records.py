"""Rows as objects, in pieces that are small and never empty."""

import json

import numpy as np
import pytest

from runtime.protocols.json import records

MIB = 2**20


@pytest.mark.parametrize("rows", [0, 1, 256, 257, 10_000])
def test_the_pieces_together_are_the_rows(rows: int) -> None:
    columns: dict[str, np.ndarray] = {
        "a": np.arange(rows),
        'b"': np.full((rows, 2), 0.5, np.float32),
        "c": np.array(["é"] * rows, object),
    }
    pieces = list(records.dump('key"', columns))
    assert all(pieces)
    expected = [{"a": index, 'b"': [0.5, 0.5], "c": "é"} for index in range(rows)]
    assert json.loads(b"".join(pieces)) == {'key"': expected}


def test_rows_larger_than_a_piece_are_split() -> None:
    columns = {"a": np.zeros((3, 100_000), np.float32), "b": np.array(["x" * MIB] * 3, object)}
    pieces = list(records.dump("key", columns))
    assert all(pieces)
    assert max(map(len, pieces)) < MIB // 2
    found = json.loads(b"".join(pieces))["key"]
    assert [(len(row["a"]), len(row["b"])) for row in found] == [(100_000, MIB)] * 3
