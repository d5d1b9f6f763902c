"""Where an ONNX model keeps its weights, and that it is its own folder. `onnx` itself is the judge of what is read."""

import contextlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from runtime.artifacts.cache import Cache
from runtime.artifacts.external import check_location, external_locations, mentions, model_locations
from runtime.artifacts.fetch import fetch
from runtime.errors import ArtifactMissing, InvalidModel, StoreStalled
from tests.runtime.artifacts.conftest import IMPATIENT, KIB, Bench

names = st.text(min_size=1, max_size=20)


def tensor(location: str | None = None) -> TensorProto:
    """A tensor, whose bytes lie at the location where one is given."""
    made = numpy_helper.from_array(np.arange(4, dtype=np.float32), name=f"w{location}")
    if location is not None:
        made.ClearField("raw_data")
        made.data_location = TensorProto.EXTERNAL
        made.external_data.add(key="location", value=location)
        made.external_data.add(key="offset", value="0")
    return made


@st.composite
def graphs(draw: st.DrawFn, depth: int = 2) -> tuple[onnx.GraphProto, frozenset[str]]:
    """A graph with tensors in every place that can hold one, and the locations among them."""
    found: set[str] = set()

    def some_tensors() -> list[TensorProto]:
        locations = draw(st.lists(st.none() | names, max_size=2))
        found.update(location for location in locations if location is not None)
        return [tensor(location) for location in locations]

    node = helper.make_node("Any", ["x"], ["y"], floats=[1.0, 2.0], text="location", ints=[1, -1])
    for index, value in enumerate(some_tensors()):
        node.attribute.append(helper.make_attribute(f"t{index}", value))
    node.attribute.append(helper.make_attribute("ts", some_tensors(), attr_type=onnx.AttributeProto.TENSORS))
    sparse = [onnx.SparseTensorProto(values=value) for value in some_tensors()]
    node.attribute.append(helper.make_attribute("ss", sparse, attr_type=onnx.AttributeProto.SPARSE_TENSORS))
    if depth:
        inner, inside = draw(graphs(depth=depth - 1))
        node.attribute.append(helper.make_attribute("body", inner))
        found |= inside
    graph = helper.make_graph([node], draw(names), [], [], initializer=some_tensors(), doc_string="location")
    graph.sparse_initializer.extend(onnx.SparseTensorProto(values=value) for value in some_tensors())
    return graph, frozenset(found)


@given(graphs(), graphs())
@settings(max_examples=40, deadline=None)
def test_every_location_is_found_wherever_a_tensor_may_be(
    main: tuple[onnx.GraphProto, frozenset[str]], other: tuple[onnx.GraphProto, frozenset[str]]
) -> None:
    function = helper.make_function("d", "F", ["x"], ["y"], list(other[0].node), [helper.make_opsetid("", 21)])
    model = helper.make_model(main[0], functions=[function])
    model.training_info.add(algorithm=main[0])
    inside_function = {entry.value for entry in _entries(other[0].node)}
    assert external_locations(model.SerializeToString()) == main[1] | inside_function


def _entries(nodes: object) -> list[onnx.StringStringEntryProto]:
    """The location entries below the nodes, by reflection: whatever message onnx has there."""
    found: list[onnx.StringStringEntryProto] = []

    def visit(message: object) -> None:
        if isinstance(message, onnx.TensorProto):
            found.extend(entry for entry in message.external_data if entry.key == "location")
        elif hasattr(message, "ListFields"):
            for _, value in message.ListFields():
                for item in value if hasattr(value, "__len__") and not isinstance(value, str | bytes) else [value]:
                    visit(item)

    for node in nodes:  # type: ignore[attr-defined]
        visit(node)
    return found


@given(st.binary(max_size=200))
def test_any_bytes_give_locations_or_a_value_error(noise: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert isinstance(external_locations(noise), frozenset)


@given(st.lists(st.binary(max_size=12), max_size=8), st.sampled_from([b"location", b"\0\0", b"a"]))
def test_a_word_is_seen_across_the_seams_of_the_pieces(pieces: list[bytes], word: bytes) -> None:
    for whole in (pieces, [word[:3], word[3:], *pieces], [*pieces, word[:1], word[1:2], word[2:]]):
        assert mentions(whole, word) == (word in b"".join(whole))


@given(st.lists(st.sampled_from(["..", ".", "", "a", "b c", "~"]), min_size=1, max_size=5).map("/".join))
def test_what_passes_the_check_stays_in_the_folder(location: str) -> None:
    try:
        check_location(location, uri="m")
    except InvalidModel:
        return
    target = os.path.normpath(Path("/models/m", location))
    assert target.startswith("/models/m/")


ESCAPES = [
    "/etc/passwd",
    "../w.bin",
    "a/../../w.bin",
    "a/..",
    "..",
    ".",
    "",
    "..\\w.bin",
    "C:/w.bin",
    "w\0.bin",
    "file:///w",
]


@pytest.mark.parametrize("location", ESCAPES)
def test_a_location_that_leads_elsewhere_is_named_and_refused(tmp_path: Path, location: str) -> None:
    model = tmp_path / "m.onnx"
    model.write_bytes(save(location))
    with pytest.raises(InvalidModel) as told:
        fetch(str(model), cache_dir=tmp_path / "cache")
    assert told.value.details["location"] == location
    assert repr(location) in str(told.value)


def test_a_link_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "w.bin").symlink_to(tmp_path / "secret")
    (folder / "m.onnx").write_bytes(save("w.bin"))
    with pytest.raises(InvalidModel, match="link"):
        fetch(str(folder / "m.onnx"), cache_dir=tmp_path)


def test_a_link_inside_the_folder_is_how_kubernetes_mounts_files(tmp_path: Path) -> None:
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data" / "w.bin").write_bytes(np.arange(4, dtype=np.float32).tobytes())
    (tmp_path / "w.bin").symlink_to(Path("..data") / "w.bin")
    (tmp_path / "m.onnx").write_bytes(save("w.bin"))
    assert fetch(str(tmp_path / "m.onnx"), cache_dir=tmp_path).path == tmp_path / "m.onnx"


def test_external_data_that_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(save("w.bin"))
    with pytest.raises(ArtifactMissing, match=r"w\.bin"):
        fetch(str(tmp_path / "m.onnx"), cache_dir=tmp_path)


def test_a_model_that_is_cut_off_is_told(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(save("w.bin")[:-5])
    with pytest.raises(InvalidModel, match="not an ONNX model"):
        model_locations(tmp_path / "m.onnx", uri="m")


def save(location: str) -> bytes:
    """A model that adds to its input a weight of four floats, kept at the location."""
    weight = tensor(location)
    weight.name = "w"
    node = helper.make_node("Add", ["x", "w"], ["y"])
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in ("x", "y")]
    graph = helper.make_graph([node], "g", value[:1], value[1:], initializer=[weight])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(made.SerializeToString())


WEIGHTS = np.arange(4, dtype=np.float32).tobytes()


@pytest.mark.parametrize("location", ["w.bin", "weights/a b.bin"])
def test_a_model_from_s3_finds_its_weights_beside_it(bench: Bench, location: str) -> None:
    stored = bench.put(save(location))
    beside(bench, stored.uri, location, WEIGHTS)
    artifact = bench.fetch(stored.uri, sha256=stored.sha256)
    assert run(artifact.path) == [1, 2, 3, 4]
    assert artifact.path.name == "m.onnx"

    again = bench.fetch(stored.uri, sha256=stored.sha256)
    assert (again.path, again.from_cache) == (artifact.path, True)


def test_weights_that_changed_give_another_folder(bench: Bench) -> None:
    stored = bench.put(save("w.bin"))
    beside(bench, stored.uri, "w.bin", WEIGHTS)
    old = bench.fetch(stored.uri)
    beside(bench, stored.uri, "w.bin", np.zeros(4, dtype=np.float32).tobytes())
    new = bench.fetch(stored.uri)
    assert (run(new.path), run(old.path)) == ([1, 1, 1, 1], [1, 2, 3, 4])


def test_a_folder_that_lost_a_file_is_made_again(bench: Bench) -> None:
    stored = bench.put(save("w.bin"))
    beside(bench, stored.uri, "w.bin", WEIGHTS)
    (bench.fetch(stored.uri).path.parent / "w.bin").unlink()
    assert run(bench.fetch(stored.uri).path) == [1, 2, 3, 4]
    assert bench.leftovers() == []


def test_a_folder_that_another_fills_for_too_long_is_told(bench: Bench) -> None:
    stored = bench.put(save("w.bin"))
    beside(bench, stored.uri, "w.bin", WEIGHTS)
    tree = bench.fetch(stored.uri).path.parent.name
    with Cache(bench.cache_dir).lock(tree, timeout=0), pytest.raises(StoreStalled, match="held the cache"):
        bench.fetch(stored.uri, policy=replace(IMPATIENT, deadline=0.3))


def test_a_model_in_s3_whose_weights_are_elsewhere_is_refused_before_they_are_asked_for(bench: Bench) -> None:
    stored = bench.put(save("../w.bin"))
    with pytest.raises(InvalidModel, match=r"\.\./w\.bin"):
        bench.fetch(stored.uri)
    assert {seen.path for seen in bench.faulty.seen} == {stored.path}


def test_a_model_cannot_be_its_own_weights(bench: Bench) -> None:
    stored = bench.put(save("m.onnx"))
    with pytest.raises(InvalidModel, match="the model itself"):
        bench.fetch(stored.uri)


def test_a_model_in_the_format_of_onnx_runtime_holds_its_weights_itself() -> None:
    assert external_locations(b"\0\0\0\0ORTM" + save("w.bin")) == frozenset()


def test_weights_that_s3_does_not_have_are_named(bench: Bench) -> None:
    stored = bench.put(save("w.bin"))
    with pytest.raises(ArtifactMissing, match=r"w\.bin"):
        bench.fetch(stored.uri)


def test_looking_for_external_data_takes_no_time_that_a_cold_start_feels(
    tmp_path: Path, random_bytes: Callable[[int], bytes]
) -> None:
    import time

    model = tmp_path / "m.onnx"
    model.write_bytes(random_bytes(100 * KIB))
    began = time.perf_counter()
    assert model_locations(model, uri="m") == frozenset()
    assert time.perf_counter() - began < 0.01


def beside(bench: Bench, uri: str, location: str, body: bytes) -> None:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    bench.client.put_object(Bucket=bucket, Key=f"{key.rpartition('/')[0]}/{location}", Body=body)


def run(path: Path) -> list[float]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return [float(value) for value in session.run(None, {"x": np.ones(4, dtype=np.float32)})[0]]
