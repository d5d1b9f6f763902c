"""Components hold resources that they cannot forge; their tensors and names may be wrong. The guest runs Python."""

import gc
import json
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import wasmtime
from hypothesis import given
from hypothesis import strategies as st
from wasmtime import component

from runtime.wasi_nn import Limits, NnExtension, NnSession, add_to_component_linker, components, nn_0_1_0
from runtime.wasi_nn.faults import Code
from runtime.wasi_nn.running import configuration
from tests.runtime.wasi_nn.building import python_guest
from tests.runtime.wasi_nn.doubling import Doubling

pytestmark = pytest.mark.timeout(900)  # the first test builds and compiles the guest
ROW = f"bytes({list(np.array([[1, 2]], np.float32).tobytes())})"
PREPARED = f"""
def make(sizes=(1, 2), data={ROW}, kind=tensor.TensorType.FP32):
    return tensor.Tensor(list(sizes), kind, data)

def floats(data):
    return list(struct.unpack(f"<{{len(data) // 4}}f", data))

def refused(call, *arguments):
    try:
        call(*arguments)
    except Err as error:
        value = error.value
        return [value.code().name, value.data()] if hasattr(value, "code") else value.name
    raise AssertionError("it was not refused")
"""


class Console:
    """An instance of the guest."""

    def __init__(self, compiled: component.Component, engine: wasmtime.Engine, nn: NnSession) -> None:
        linker = component.Linker(engine)
        linker.add_wasip2()
        add_to_component_linker(linker, nn)
        self._store = wasmtime.Store(engine)
        self._store.set_wasi(wasmtime.WasiConfig())
        run = linker.instantiate(self._store, compiled).get_func(self._store, "evaluate")
        assert run is not None
        self._run = run

    def __call__(self, source: str) -> Any:  # noqa: ANN401 - any JSON value
        """Run the source in the guest, and return the value of its variable `answer`."""
        result = self._run(self._store, PREPARED + source)
        self._run.post_return(self._store)
        assert result.tag == "ok", result.payload
        return json.loads(result.payload)


@pytest.fixture(scope="module")
def engine() -> wasmtime.Engine:
    return wasmtime.Engine(configuration())  # it shares the cache of compiled guests with `scalezero wasm run`


@pytest.fixture(scope="module")
def compiled(engine: wasmtime.Engine) -> component.Component:
    return component.Component.from_file(engine, python_guest())


@pytest.fixture
def nn() -> Iterator[NnSession]:
    with NnSession(Doubling(), Limits(tensor_bytes=4096, model_bytes=4096, held_bytes=5000, handles=16)) as session:
        yield session


@pytest.fixture
def console(compiled: component.Component, engine: wasmtime.Engine, nn: NnSession) -> Console:
    return Console(compiled, engine, nn)


@pytest.mark.parametrize("codes", [components.CODES, nn_0_1_0.CODES])
def test_every_code_has_a_name(codes: dict[Code, str]) -> None:
    assert set(codes) == set(Code)


def test_a_guest_computes_on_a_model_of_the_host(console: Console) -> None:
    answer = console("""
context = graph.load_by_name("doubling").init_execution_context()
((name, y),) = context.compute([("x", make())])
answer = [name, y.dimensions(), y.ty().name, floats(y.data())]
""")
    assert answer == ["y", [1, 2], "FP32", [2.0, 4.0]]


def test_what_the_guest_drops_leaves_the_host(console: Console, nn: NnSession) -> None:
    assert (
        console("""
for _ in range(40):
    with graph.load_by_name("doubling") as model, model.init_execution_context() as context, make():
        for name, each in context.compute([("x", make())]):
            each.__exit__(None, None, None)
answer = "done"
""")
        == "done"
    )
    assert (nn.held_bytes, len(nn.tensors)) == (0, 0)


def test_a_guest_passes_a_model_as_bytes(console: Console) -> None:
    load = "graph.load, {}, graph.GraphEncoding.{}, graph.ExecutionTarget.{}"
    assert (
        console("""
model = graph.load([b"onnx"], graph.GraphEncoding.ONNX, graph.ExecutionTarget.CPU)
model.init_execution_context().compute([("x", make())])
answer = "computed"
""")
        == "computed"
    )
    for call, code in [
        (load.format("[b'onnx']", "GGML", "CPU"), "INVALID_ENCODING"),
        (load.format("[b'onnx']", "ONNX", "GPU"), "UNSUPPORTED_OPERATION"),
        (load.format("[]", "ONNX", "CPU"), "INVALID_ARGUMENT"),
        (load.format("[b'onnx', b'']", "ONNX", "CPU"), "INVALID_ARGUMENT"),
        (load.format("[b'other']", "AUTODETECT", "CPU"), "INVALID_ENCODING"),
        (load.format("[b'onnx' + bytes(5000)]", "ONNX", "CPU"), "TOO_LARGE"),
    ]:
        assert console(f"answer = refused({call})")[0] == code


@pytest.mark.parametrize(("limit", "code"), [(0, "UNSUPPORTED_OPERATION"), (3, "TOO_LARGE")])
def test_a_host_limits_or_forbids_models_as_bytes(
    compiled: component.Component, engine: wasmtime.Engine, limit: int, code: str
) -> None:
    with NnSession(Doubling(), Limits(model_bytes=limit)) as session:
        (first, _), second = Console(compiled, engine, session)("""
answer = [
    refused(graph.load, [b"onnx"], graph.GraphEncoding.ONNX, graph.ExecutionTarget.CPU),
    refused(nn.load, b"onnx", nn.GraphEncoding.ONNX, nn.ExecutionTarget.CPU),
]
""")
    assert (first, second) == (code, code)


@pytest.mark.parametrize(
    ("inputs", "code", "text"),
    [
        ("[]", "INVALID_ARGUMENT", "inputs.x: got nothing"),
        ('[("z", make())]', "INVALID_ARGUMENT", "expected one of 0 (x)"),
        ('[("x", make()), ("x", make())]', "INVALID_ARGUMENT", "got it twice"),
        ('[("x", make((1, 3)))]', "INVALID_ARGUMENT", "expected 12 for [1, 3] of FP32"),
        ('[("x", make((2**32 - 1,) * 3))]', "INVALID_ARGUMENT", "got 8 bytes of data"),
        ('[("x", make(kind=tensor.TensorType.BF16))]', "INVALID_ARGUMENT", "got a tensor of BF16"),
    ],
)
def test_a_wrong_input_is_an_error_with_a_text(console: Console, inputs: str, code: str, text: str) -> None:
    got = console(f"""
context = graph.load_by_name("doubling").init_execution_context()
answer = [*refused(context.compute, {inputs}), floats(context.compute([("x", make())])[0][1].data())]
""")
    assert got[0] == code
    assert text in got[1]
    assert got[2] == [2.0, 4.0]


def test_inputs_that_a_failed_call_took_leave_the_host(console: Console, nn: NnSession) -> None:
    console("""
context = graph.load_by_name("doubling").init_execution_context()
for _ in range(10):
    refused(context.compute, [("x", make()), ("z", make())])
""")
    assert nn.held_bytes == 0


def test_outputs_of_which_one_has_no_place_leave_the_host(
    compiled: component.Component, engine: wasmtime.Engine
) -> None:
    with NnSession(Doubling(), Limits(handles=2)) as nn:
        console = Console(compiled, engine, nn)
        code, held = console("""
context = graph.load_by_name("pair").init_execution_context()
kept = make()
code = refused(context.compute, [("x", make())])[0]
kept = None
answer = [code, len(context.compute([("x", make())]))]
""")
    assert (code, held) == ("TOO_LARGE", 2)


@pytest.mark.parametrize("source", ["kept = [make() for _ in range(17)]", "make((1024,), bytes(4097))"])
def test_a_guest_that_makes_too_many_or_too_large_tensors_is_stopped(console: Console, source: str) -> None:
    """A constructor has no result for an error."""
    with pytest.raises(wasmtime.WasmtimeError):
        console(source)


def test_a_list_that_wasmtime_does_not_copy_stops_the_guest_and_not_its_neighbour(
    compiled: component.Component, engine: wasmtime.Engine, console: Console
) -> None:
    with NnSession(Doubling()) as nn, pytest.raises(wasmtime.WasmtimeError, match="too much data"):
        Console(compiled, engine, nn)("make((2**25,), bytes(2**25), tensor.TensorType.U8)")
    assert console('answer = refused(graph.load_by_name, "other")')[0] == "NOT_FOUND"


def test_an_exception_of_the_host_is_an_error_of_the_guest_that_caused_it(
    compiled: component.Component, engine: wasmtime.Engine, console: Console
) -> None:
    """Wasmtime keeps an exception in a variable of the process, from which another guest could raise it."""
    backend = Doubling()
    backend.error = ZeroDivisionError("secret")
    with NnSession(backend) as nn:
        failing = Console(compiled, engine, nn)
        code, text = failing("""
context = graph.load_by_name("doubling").init_execution_context()
answer = refused(context.compute, [("x", make())])
""")
    assert (code, "secret" in text) == ("RUNTIME_ERROR", False)
    assert console('answer = refused(graph.load_by_name, "other")')[0] == "NOT_FOUND"


def test_the_errors_that_a_guest_keeps_are_limited(console: Console) -> None:
    with pytest.raises(wasmtime.WasmtimeError):
        console("""
kept = []
for _ in range(17):
    try:
        graph.load_by_name("other")
    except Err as error:
        kept.append(error.value)
""")


def test_a_component_of_0_1_0_computes(console: Console, nn: NnSession) -> None:
    count, *values = console(f"""
model = nn.load_by_name("doubling")
context = nn.init_execution_context(model)
nn.set_input(context, 0, nn.Tensor([1, 2], nn.TensorType.FP32, {ROW}))
nn.compute(context)
answer = [nn.get_output(context, 0, bytes(100)), *floats(nn.get_output_data(context, 0))]
""")
    assert (count, values) == (8, [2.0, 4.0])


def test_the_buffer_of_0_1_0_states_only_how_much_room_there_is(console: Console) -> None:
    assert console(f"""
context = nn.init_execution_context(nn.load(b"onnx", nn.GraphEncoding.ONNX, nn.ExecutionTarget.CPU))
nn.set_input(context, 0, nn.Tensor([1, 2], nn.TensorType.FP32, {ROW}))
nn.compute(context)
buffer = bytes(8)
answer = [nn.get_output(context, 0, buffer), list(buffer), refused(nn.get_output, context, 0, bytes(7))]
""") == [8, [0] * 8, "TOO_LARGE"]


def test_the_errors_of_0_1_0_are_names(console: Console) -> None:
    assert console(f"""
context = nn.init_execution_context(nn.load_by_name("doubling"))
tensor_of = lambda sizes: nn.Tensor(sizes, nn.TensorType.FP32, {ROW})
answer = [
    refused(nn.load_by_name, "other"),
    refused(nn.load, b"other", nn.GraphEncoding.ONNX, nn.ExecutionTarget.CPU),
    refused(nn.load, b"onnx", nn.GraphEncoding.PYTORCH, nn.ExecutionTarget.CPU),
    refused(nn.load, b"onnx", nn.GraphEncoding.ONNX, nn.ExecutionTarget.TPU),
    refused(nn.compute, context),
    refused(nn.get_output_data, context, 0),
    refused(nn.set_input, context, 1, tensor_of([1, 2])),
    refused(nn.set_input, context, 0, tensor_of([3])),
]
""") == [
        "NOT_FOUND",
        "INVALID_ENCODING",
        "INVALID_ENCODING",
        "UNSUPPORTED_OPERATION",
        *["INVALID_ARGUMENT"] * 4,
    ]


def test_an_instance_that_is_dropped_drops_its_session(compiled: component.Component, engine: wasmtime.Engine) -> None:
    extension: NnExtension | None = NnExtension(Doubling())
    assert extension is not None
    session = weakref.ref(extension.session)
    console: Console | None = Console(compiled, engine, extension.session)
    assert console is not None
    console("""
kept = graph.load_by_name("doubling")
try:
    graph.load_by_name("other")
except Err as error:
    tensor.error = error
""")  # the guest never drops the error
    extension = None
    gc.collect()
    assert session() is not None
    console = None
    gc.collect()
    assert session() is None


def test_an_extension_defines_all_interfaces(compiled: component.Component, engine: wasmtime.Engine) -> None:
    linker = component.Linker(engine)
    linker.add_wasip2()
    NnExtension(Doubling()).add_to_component_linker(linker)
    store = wasmtime.Store(engine)
    store.set_wasi(wasmtime.WasiConfig())
    assert linker.instantiate(store, compiled).get_func(store, "evaluate") is not None


@given(sizes=st.lists(st.integers(0, 2**32 - 1), max_size=20))
def test_dimensions_are_the_same_in_the_guest(
    compiled: component.Component, engine: wasmtime.Engine, sizes: list[int]
) -> None:
    with NnSession(Doubling()) as nn:
        assert Console(compiled, engine, nn)(f"answer = make({sizes}).dimensions()") == sizes


@given(data=st.binary(max_size=512))
def test_bytes_are_the_same_in_the_guest(compiled: component.Component, engine: wasmtime.Engine, data: bytes) -> None:
    with NnSession(Doubling()) as nn:
        answer = Console(compiled, engine, nn)(f"""
made = make(({len(data)},), bytes({list(data)}), tensor.TensorType.U8)
answer = [made.dimensions(), list(made.data())]
""")
    assert answer == [[len(data)], list(data)]
