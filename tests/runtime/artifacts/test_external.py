"""Tests that external data is found and is inside the model's folder. The library `onnx` gives the expected results."""

import contextlib
import os
import time
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
from runtime.artifacts.external import (
    LARGE,
    check_location,
    contains_bytes,
    external_locations,
    model_locations,
    parts_to_search,
)
from runtime.artifacts.fetch import fetch
from runtime.errors import ArtifactMissing, InvalidModel, StoreStalled
from tests.runtime.artifacts.conftest import KIB, SHORT_TIMEOUTS, Bench

names = st.text(min_size=1, max_size=20)


def tensor(location: str | None = None) -> TensorProto:
    """Return a tensor, whose bytes are at the location unless it is None."""
    proto = numpy_helper.from_array(np.arange(4, dtype=np.float32), name=f"w{location}")
    if location is not None:
        proto.ClearField("raw_data")
        proto.data_location = TensorProto.EXTERNAL
        proto.external_data.add(key="location", value=location)
        proto.external_data.add(key="offset", value="0")
    return proto


@st.composite
def graphs(draw: st.DrawFn, depth: int = 2) -> tuple[onnx.GraphProto, frozenset[str]]:
    """Draw a graph with tensors in every field that can contain one, and the locations of these tensors."""
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
def test_the_locations_of_tensors_in_all_fields_are_found(
    main: tuple[onnx.GraphProto, frozenset[str]], other: tuple[onnx.GraphProto, frozenset[str]]
) -> None:
    function = helper.make_function("d", "F", ["x"], ["y"], list(other[0].node), [helper.make_opsetid("", 21)])
    model = helper.make_model(main[0], functions=[function])
    model.training_info.add(algorithm=main[0])
    inside_function = {entry.value for entry in _entries(other[0].node)}
    assert external_locations(model.SerializeToString()) == main[1] | inside_function


def _entries(nodes: object) -> list[onnx.StringStringEntryProto]:
    """Return the location entries in the nodes, by reflection over all messages of onnx."""
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
def test_any_bytes_return_locations_or_raise_a_value_error(noise: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert isinstance(external_locations(noise), frozenset)


def test_the_elements_of_large_weights_are_not_searched(tmp_path: Path) -> None:
    sizes = {"large": LARGE, "small": LARGE // 8, "floats": LARGE}
    weights = [numpy_helper.from_array(np.arange(size, dtype=np.int8), name) for name, size in sizes.items()]
    weights[2] = helper.make_tensor("floats", TensorProto.FLOAT, [LARGE], [1.0] * LARGE)
    graph = helper.make_graph([helper.make_node("Any", ["large"], ["y"])], "g", [], [], [*weights, tensor("w.bin")])
    body = helper.make_model(graph).SerializeToString()
    searched = parts_to_search(body)
    assert LARGE // 8 < sum(part.end - part.start for part in searched) < LARGE // 4
    assert (searched[0].start, searched[-1].end) == (0, len(body))
    path = tmp_path / "m.onnx"
    path.write_bytes(body)
    assert model_locations(path, uri="m") == {"w.bin"}


def test_all_of_a_file_that_is_no_model_is_searched() -> None:
    body = b"\x0flocation" * 9000
    assert [(part.start, part.end) for part in parts_to_search(body)] == [(0, len(body))]


@given(st.lists(st.binary(max_size=12), max_size=8), st.sampled_from([b"location", b"\0\0", b"a"]))
def test_a_word_that_is_split_over_several_pieces_is_found(pieces: list[bytes], word: bytes) -> None:
    for parts in (pieces, [word[:3], word[3:], *pieces], [*pieces, word[:1], word[1:2], word[2:]]):
        assert contains_bytes(parts, word) == (word in b"".join(parts))


@given(st.lists(st.sampled_from(["..", ".", "", "a", "b c", "~"]), min_size=1, max_size=5).map("/".join))
def test_a_location_that_passes_the_check_is_inside_the_folder(location: str) -> None:
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
def test_a_location_outside_the_folder_is_refused_and_named(tmp_path: Path, location: str) -> None:
    model = tmp_path / "m.onnx"
    model.write_bytes(save(location))
    with pytest.raises(InvalidModel) as raised:
        fetch(str(model), cache_dir=tmp_path / "cache")
    assert raised.value.details["location"] == location
    assert repr(location) in str(raised.value)


def test_a_link_to_outside_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "w.bin").symlink_to(tmp_path / "secret")
    (folder / "m.onnx").write_bytes(save("w.bin"))
    with pytest.raises(InvalidModel, match="link"):
        fetch(str(folder / "m.onnx"), cache_dir=tmp_path)


def test_a_link_inside_the_folder_is_accepted_because_kubernetes_mounts_files_as_links(tmp_path: Path) -> None:
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data" / "w.bin").write_bytes(np.arange(4, dtype=np.float32).tobytes())
    (tmp_path / "w.bin").symlink_to(Path("..data") / "w.bin")
    (tmp_path / "m.onnx").write_bytes(save("w.bin"))
    assert fetch(str(tmp_path / "m.onnx"), cache_dir=tmp_path).path == tmp_path / "m.onnx"


def test_the_error_for_missing_external_data_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(save("w.bin"))
    with pytest.raises(ArtifactMissing, match=r"w\.bin"):
        fetch(str(tmp_path / "m.onnx"), cache_dir=tmp_path)


def test_a_truncated_model_is_invalid(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(save("w.bin")[:-5])
    with pytest.raises(InvalidModel, match="not an ONNX model"):
        model_locations(tmp_path / "m.onnx", uri="m")


def save(location: str) -> bytes:
    """Return a model that adds a weight of four floats, stored at the location, to its input."""
    weight = tensor(location)
    weight.name = "w"
    node = helper.make_node("Add", ["x", "w"], ["y"])
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in ("x", "y")]
    graph = helper.make_graph([node], "g", value[:1], value[1:], initializer=[weight])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(proto.SerializeToString())


WEIGHTS = np.arange(4, dtype=np.float32).tobytes()


@pytest.mark.parametrize("location", ["w.bin", "weights/a b.bin"])
def test_a_model_from_s3_is_fetched_with_its_external_data(bench: Bench, location: str) -> None:
    stored = bench.put(save(location))
    put_external_data(bench, stored.uri, location, WEIGHTS)
    artifact = bench.fetch(stored.uri, sha256=stored.sha256)
    assert run(artifact.path) == [1, 2, 3, 4]
    assert artifact.path.name == "m.onnx"

    again = bench.fetch(stored.uri, sha256=stored.sha256)
    assert (again.path, again.from_cache) == (artifact.path, True)


def test_changed_external_data_results_in_another_folder(bench: Bench) -> None:
    stored = bench.put(save("w.bin"))
    put_external_data(bench, stored.uri, "w.bin", WEIGHTS)
    old = bench.fetch(stored.uri)
    put_external_data(bench, stored.uri, "w.bin", np.zeros(4, dtype=np.float32).tobytes())
    new = bench.fetch(stored.uri)
    assert (run(new.path), run(old.path)) == ([1, 1, 1, 1], [1, 2, 3, 4])


def test_a_missing_file_of_a_folder_is_linked_again(bench: Bench) -> None:
    stored = bench.put(save("w.bin"))
    put_external_data(bench, stored.uri, "w.bin", WEIGHTS)
    (bench.fetch(stored.uri).path.parent / "w.bin").unlink()
    assert run(bench.fetch(stored.uri).path) == [1, 2, 3, 4]
    assert bench.leftovers() == []


def test_the_wait_for_another_writer_of_a_folder_ends_with_the_deadline(bench: Bench) -> None:
    stored = bench.put(save("w.bin"))
    put_external_data(bench, stored.uri, "w.bin", WEIGHTS)
    tree = bench.fetch(stored.uri).path.parent.name
    with Cache(bench.cache_dir).lock(tree, timeout=0), pytest.raises(StoreStalled, match="locked the cache"):
        bench.fetch(stored.uri, policy=replace(SHORT_TIMEOUTS, deadline=0.3))


def test_external_data_outside_the_folder_in_s3_is_refused_before_a_request_for_it(bench: Bench) -> None:
    stored = bench.put(save("../w.bin"))
    with pytest.raises(InvalidModel, match=r"\.\./w\.bin"):
        bench.fetch(stored.uri)
    assert {seen.path for seen in bench.faulty.seen} == {stored.path}


def test_external_data_in_the_model_file_itself_is_refused(bench: Bench) -> None:
    stored = bench.put(save("m.onnx"))
    with pytest.raises(InvalidModel, match="the model itself"):
        bench.fetch(stored.uri)


def test_a_model_in_the_format_of_onnx_runtime_has_no_external_data() -> None:
    assert external_locations(b"\0\0\0\0ORTM" + save("w.bin")) == frozenset()


def test_the_error_for_external_data_missing_in_s3_names_the_file(bench: Bench) -> None:
    stored = bench.put(save("w.bin"))
    with pytest.raises(ArtifactMissing, match=r"w\.bin"):
        bench.fetch(stored.uri)


def test_the_search_for_external_data_in_100_kib_takes_less_than_10_ms_of_the_cpu(
    tmp_path: Path, random_bytes: Callable[[int], bytes]
) -> None:
    model = tmp_path / "m.onnx"
    model.write_bytes(random_bytes(100 * KIB))

    def seconds() -> float:
        began = time.thread_time()
        assert model_locations(model, uri="m") == frozenset()
        return time.thread_time() - began

    assert min(seconds() for _ in range(5)) < 0.01


def put_external_data(bench: Bench, uri: str, location: str, body: bytes) -> None:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    bench.client.put_object(Bucket=bucket, Key=f"{key.rpartition('/')[0]}/{location}", Body=body)


def run(path: Path) -> list[float]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return [float(value) for value in session.run(None, {"x": np.ones(4, dtype=np.float32)})[0]]
