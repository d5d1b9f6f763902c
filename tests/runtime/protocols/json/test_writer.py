"""The pieces of an answer together are the JSON that orjson writes, and each piece is small."""

from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from runtime.protocols.json import tensors as json_tensors
from runtime.protocols.json import writer
from runtime.protocols.json.writer import PIECE, dump, size_hint
from tests import strategies

_ARRAYS = strategies.dtypes.flatmap(
    lambda dtype: npst.arrays(dtype, npst.array_shapes(min_dims=1, max_side=4, min_side=0))
)
_OBJECTS = npst.arrays(np.object_, npst.array_shapes(max_side=3), elements=st.text(max_size=3))
_DOCUMENTS: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats() | st.text(max_size=30) | _ARRAYS | _OBJECTS,
    lambda inner: (
        st.lists(inner, max_size=9)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=3) | st.integers(0, 9), inner, max_size=5)
    ),
    max_leaves=12,
)


def plain(document: Any) -> Any:  # noqa: ANN401 - JSON values and arrays
    """Return the document with lists instead of the arrays that orjson does not support."""
    if isinstance(document, dict):
        return {key: plain(each) for key, each in document.items()}
    if isinstance(document, (list, tuple)):
        return [plain(each) for each in document]
    return json_tensors.plain(document)


def whole(document: object) -> bytes:
    return json_tensors.dump(plain(document))


@given(document=_DOCUMENTS, piece=st.sampled_from([12, 40, 100, 1000]), batch=st.sampled_from([1, 3, 1024]))
def test_the_pieces_together_are_the_json_of_orjson(document: object, piece: int, batch: int) -> None:
    with pytest.MonkeyPatch.context() as small:  # so that small documents are split like large ones
        small.setattr(writer, "PIECE", piece)
        small.setattr(writer, "_BATCH", batch)
        assert b"".join(dump(document)) == whole(document)


@pytest.mark.parametrize(
    "document",
    [
        np.linspace(-1, 1, 300_000, dtype=np.float32).reshape(-1, 3),
        np.linspace(-1, 1, 300_000).reshape(1, 1, -1),
        np.arange(200_000, dtype=np.float64).reshape(400, 500).T,
        np.full((3, 100_000), np.nan, np.float16),
        np.array([["a" * 100, "é"]] * 20_000, object),
        {"outputs": {"a": np.zeros((500, 500), bool), "b": ["ab"] * 100_000}, "id": "x" * 300_000},
        "\n\x01é" * 200_000,
        [{"a": each} for each in range(50_000)],
        {f"key{each}": "x" * 100 for each in range(20_000)},
        {"a": "x" * 100_000, 5: "y" * 100_000},
        [None, 1.5, True] * 50_000,
    ],
)
def test_a_large_document_has_small_pieces(document: object) -> None:
    pieces = list(dump(document))
    assert b"".join(pieces) == whole(np.ascontiguousarray(document) if isinstance(document, np.ndarray) else document)
    assert len(pieces) > 1
    assert max(map(len, pieces)) < 4 * PIECE


def test_a_small_document_is_one_piece() -> None:
    assert list(dump({"outputs": np.array([0.5], np.float32)})) == [b'{"outputs":[0.5]}']


@pytest.mark.parametrize("dtype", ["i8", "longlong", "ulonglong", "f2", "f4", "?"])
def test_an_array_without_axes_is_its_element(dtype: str) -> None:
    array = np.array(1, dtype)
    assert orjson.loads(b"".join(dump({"a": array, "b": array[()]}))) == {"a": 1, "b": 1}
    assert b"".join(dump(np.array(0.1, np.float32))) == b"0.1"


@pytest.mark.parametrize(
    "value", [np.zeros(2, complex), np.zeros(50_000, complex), {1, 2}, "\ud800", 2**64, [2**64] * 50_000]
)
def test_a_value_without_a_json_form_is_a_type_error(value: object) -> None:
    with pytest.raises(TypeError):
        list(dump(value))


@pytest.mark.parametrize(
    ("document", "large"),
    [
        ({"outputs": np.zeros(10, np.float32)}, False),
        ({"outputs": np.zeros(PIECE, np.float32)}, True),
        ({"a": ["x" * 70_000]}, True),
        ([[1] * 100] * 100, True),
        (np.array(["x" * 40_000] * 2, object), True),
        ([1.5] * 100, False),
    ],
)
def test_the_size_hint_separates_large_from_small_documents(document: object, *, large: bool) -> None:
    assert (size_hint(document) > PIECE) is large


def test_the_size_hint_visits_at_most_the_members_of_a_piece() -> None:
    visited: list[int] = []

    class Watched(list[int]):
        def __iter__(self) -> Any:  # noqa: ANN401 - a generator
            for each in super().__iter__():
                visited.append(each)
                yield each

    assert size_hint(Watched(range(1_000_000))) > PIECE
    assert len(visited) < PIECE
