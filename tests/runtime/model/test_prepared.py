"""The note in a prepared file."""

from pathlib import Path

import onnx
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.model.graph import GraphFacts, Operator, Use, read_facts
from runtime.model.prepared import Note, append_note, is_optimized, read_note
from runtime.model.session import Session
from runtime.protobuf import delimited
from runtime.variants.cpu_class import cpu_class
from tests import models

names = st.text(max_size=8)
operators = st.builds(Operator, names, names)
facts = st.builds(
    GraphFacts,
    known=st.booleans(),
    uses=st.frozensets(st.builds(Use, operators, st.booleans())),
    functions=st.frozensets(operators),
    scalars=st.frozensets(names),
    unranked=st.frozensets(names),
    output_steps=st.dictionaries(names, st.floats(allow_nan=False, allow_infinity=False)),
)


@settings(max_examples=50)
@given(note=st.builds(Note, optimized_for=st.none() | names, facts=facts))
def test_a_note_is_read_as_it_was_written(note: Note, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "noted.onnx"
    path.write_bytes(b"")
    append_note(path, note)
    assert read_note(path) == note


def test_a_model_with_a_note_is_valid(tmp_path: Path) -> None:
    path = models.doubling(tmp_path / "m.onnx")
    append_note(path, Note(optimized_for="amd-avx2", facts=GraphFacts(known=True)))
    onnx.checker.check_model(path)


def test_a_model_without_a_note_has_none(tmp_path: Path) -> None:
    assert read_note(models.doubling(tmp_path / "m.onnx")) is None
    assert read_note(tmp_path / "missing.onnx") is None


EMPTY = b'"optimizedFor":null,"known":true,"uses":[],"functions":[],"scalars":[],"unranked":[]'
NOTES = [
    b"[]",
    b"not JSON",
    b'{"optimizedFor": null}',
    b'{"uses": [1]}',
    b"[" * 100_000,
    b'{%s,"steps":{"y":1%s}}' % (EMPTY, b"0" * 400),
    b'{%s,"steps":{"y":"one"}}' % EMPTY,
    b'{%s,"steps":{}}' % EMPTY.replace(b'"uses":[]', b'"uses":[["a"]]'),
]


@pytest.mark.parametrize("text", NOTES, ids=lambda text: text[-30:].decode())
def test_a_note_of_an_unknown_form_is_ignored(tmp_path: Path, text: bytes) -> None:
    path = models.doubling(tmp_path / "m.onnx")
    with path.open("ab") as file:
        file.write(delimited(14, delimited(1, b"scalezero.prepared") + delimited(2, text)))
    assert read_note(path) is None
    assert Session(path, uri="m", name="m", threads=1, prepared_form=True).facts.known


def test_the_metadata_of_the_author_is_no_note(tmp_path: Path) -> None:
    path = models.doubling(tmp_path / "m.onnx")
    with path.open("ab") as file:
        file.write(delimited(14, delimited(1, b"author") + delimited(2, b"{}")))
    assert read_note(path) is None


def test_a_note_holds_for_one_cpu_class() -> None:
    facts = GraphFacts(known=True)
    assert is_optimized(Note(optimized_for=cpu_class(), facts=facts))
    assert not is_optimized(Note(optimized_for="another-class", facts=facts))
    assert not is_optimized(Note(optimized_for=None, facts=facts))


@pytest.mark.parametrize(("optimized_for", "optimized"), [(cpu_class(), False), ("another-class", True)])
def test_a_session_optimizes_a_graph_that_was_not_optimized_for_its_class(
    tmp_path: Path, optimized_for: str, *, optimized: bool
) -> None:
    path = models.doubling(tmp_path / "m.onnx")
    append_note(path, Note(optimized_for=optimized_for, facts=read_facts(path)))
    options = Session(path, uri="m", name="m", threads=1, prepared_form=True)._session.get_session_options()
    assert (options.graph_optimization_level == ort.GraphOptimizationLevel.ORT_ENABLE_ALL) is optimized


def test_a_session_uses_the_facts_of_the_note(tmp_path: Path) -> None:
    path = models.doubling(tmp_path / "m.onnx")
    noted = GraphFacts(known=True, uses=frozenset({Use(Operator("", "NonZero"), static_parameters=False)}))
    append_note(path, Note(optimized_for="amd-avx2", facts=noted))
    assert Session(path, uri="m", name="m", threads=1, prepared_form=True).facts == noted


def test_a_note_in_any_other_file_is_not_read(tmp_path: Path) -> None:
    path = models.doubling(tmp_path / "m.onnx")
    facts = read_facts(path)
    append_note(path, Note(optimized_for=cpu_class(), facts=GraphFacts(known=False)))
    session = Session(path, uri="m", name="m", threads=1)
    assert session.facts == facts
    level = session._session.get_session_options().graph_optimization_level
    assert level == ort.GraphOptimizationLevel.ORT_ENABLE_ALL
