"""The window of a file and the type for its scores are those of magika, for any bytes and any scores."""

import io
import json
import subprocess
import sys

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from magika import Magika
from magika.types import ContentTypeLabel, Seekable

from functions.file_type.features import FACTS, LABELS, PADDING, WINDOW, FileType, of_scores, of_short, window
from tests.functions.file_type.files import FILES

# Files of any length up to a few blocks, whose ends may be white space.
MARGINS = st.sampled_from([b"", b" ", b"\n\t ", b" " * 4_095, b"\r\n" * 2_500])
BODIES = st.builds(lambda part, times: part * times, st.binary(max_size=40), st.sampled_from([1, 2, 40, 300]))
CONTENTS = st.builds(lambda *parts: b"".join(parts), MARGINS, BODIES, MARGINS)


def row_of(original: Magika, content: bytes) -> npt.NDArray[np.int32] | None:
    """Return the model input that magika computes, or None if it does not ask its model."""
    _, features = original._get_result_or_features_from_seekable(Seekable(io.BytesIO(content)))
    return None if features is None else np.array([*features.beg, *features.end], np.int32)


def same(ours: npt.NDArray[np.int32] | None, theirs: npt.NDArray[np.int32] | None) -> bool:
    return ours is theirs if ours is None or theirs is None else np.array_equal(ours, theirs)


@given(content=CONTENTS | st.sampled_from(sorted(FILES.values())))
def test_the_window_of_any_file_is_that_of_magika(original: Magika, content: bytes) -> None:
    assert same(window(content), row_of(original, content))


@given(content=CONTENTS)
def test_a_file_that_is_too_short_gets_the_answer_of_magika(original: Magika, content: bytes) -> None:
    if window(content) is None:
        assert of_short(content) == answer_of(original, content)


@given(index=st.integers(0, len(LABELS) - 1), score=st.floats(0.25, 1, width=32))
def test_the_type_for_any_label_and_score_is_that_of_magika(original: Magika, index: int, score: float) -> None:
    scores = np.full(len(LABELS), 0, np.float32)
    scores[index] = score
    label, _ = original._get_output_label_from_dl_label_and_score(ContentTypeLabel(LABELS[index]), score)
    assert of_scores(scores) == described(original, label, score)


@pytest.mark.parametrize(("score", "label"), [(0.74, "txt"), (0.75, "markdown"), (0.76, "markdown")])
def test_a_score_at_its_threshold_is_answered_and_a_lower_one_is_not(score: float, label: str) -> None:
    scores = np.zeros(len(LABELS), np.float32)
    scores[LABELS.index("markdown")] = score
    assert of_scores(scores).label == label


def described(original: Magika, label: ContentTypeLabel, score: float) -> FileType:
    info = original._get_ct_info(label)
    return FileType(str(label), info.description, info.mime_type, info.group, score)


def answer_of(original: Magika, content: bytes) -> FileType:
    result = original.identify_bytes(content)
    return described(original, result.output.label, result.score)


def test_a_window_has_the_start_and_the_end_without_white_space_around() -> None:
    row = window(b"  " + b"a" * 10 + b"\n")
    assert row is not None
    assert (row.shape, row.dtype.name) == ((WINDOW,), "int32")
    assert row[:11].tolist() == [*b"a" * 10, *b"\n"]
    assert row[-12:].tolist() == [*b"  ", *b"a" * 10]
    assert set(row[11:-12].tolist()) == {PADDING}


def test_the_end_of_a_file_may_be_white_space_only() -> None:
    row = window(b"abcdefgh" + b" " * 5_000)
    assert row is not None
    assert set(row[1_024:].tolist()) == {PADDING}


def test_the_facts_name_their_source_and_licence() -> None:
    assert "magika 1.0.3" in FACTS["source"]
    assert "Apache-2.0" in FACTS["licence"]


def test_a_pod_needs_numpy_only() -> None:
    script = "import json, sys; import functions.file_type.features; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"magika", "onnxruntime", "flask", "click", "onnx"}.intersection(json.loads(done.stdout))
