"""Core modules call the host through numbers: every pointer, length, handle and enum may be wrong."""

import gc
import struct
import weakref
from collections.abc import Iterator

import numpy as np
import pytest
import wasmtime
from hypothesis import given
from hypothesis import strategies as st

from runtime.wasi_nn import Limits, NnExtension, NnSession, witx
from runtime.wasi_nn.faults import Code
from runtime.wasi_nn.witx import ERRNO, SUCCESS
from tests.runtime.wasi_nn.doubling import Doubling
from tests.runtime.wasi_nn.guests import Guest, forwarder

INVALID_ARGUMENT, INVALID_ENCODING, MISSING_MEMORY, BUSY, RUNTIME_ERROR, UNSUPPORTED, TOO_LARGE, NOT_FOUND = range(1, 9)
F16, F32, F64, U8, I32, I64 = range(6)
ONNX, CPU = 1, 0
PAGE = 65_536
WILD = (PAGE - 3, PAGE, 2**31 - 1, 2**31, 2**32 - 4, 2**32 - 1)
ROW = np.array([[1, 2]], np.float32).tobytes()
WORD = st.one_of(st.integers(0, 8), st.integers(0, 2**32 - 1), st.sampled_from([64, 1024, PAGE - 4, *WILD]))


@pytest.fixture
def nn() -> Iterator[NnSession]:
    with NnSession(Doubling(), Limits(tensor_bytes=4096, model_bytes=4096)) as session:
        yield session


@pytest.fixture
def guest(nn: NnSession) -> Guest:
    return Guest(nn)


def ready(guest: Guest) -> int:
    """Return a context whose outputs are computed."""
    context = guest.load()
    assert guest.call("set_input", context, 0, guest.put_tensor(1024, [1, 2], F32, ROW)) == SUCCESS
    assert guest.call("compute", context) == SUCCESS
    return context


def test_the_errors_have_the_numbers_of_the_specification() -> None:
    names = (
        "invalid_argument invalid_encoding missing_memory busy runtime_error unsupported_operation too_large not_found"
    )
    numbers = {name: number for number, name in enumerate(names.split(), start=1)}
    assert {code.name.lower(): number for code, number in ERRNO.items() if code.name.lower() in numbers} == numbers
    assert set(ERRNO) == set(Code)


@pytest.mark.parametrize("output", ["get_output", "get_output_single"])
def test_a_guest_computes_on_a_model_of_the_host(guest: Guest, output: str) -> None:
    context = ready(guest)
    assert guest.call(output, context, 0, 4096, 100, 64) == SUCCESS
    assert guest.number(64) == 8
    assert np.frombuffer(guest.get(4096, 8), np.float32).tolist() == [2, 4]
    assert guest.get(4104, 92) == bytes(92)


def test_a_guest_passes_a_model_as_bytes(guest: Guest) -> None:
    guest.put(2048, b"onnx model")
    builders = guest.put(1024, struct.pack("<II", 2048, 10))
    assert guest.call("load", builders, 1, ONNX, CPU, 64) == SUCCESS
    assert guest.call("init_execution_context", guest.number(64), 68) == SUCCESS
    assert guest.call("load", builders, 1, 5, 3, 64) == SUCCESS  # autodetect, and WasmEdge's auto
    assert guest.call("load", builders, 1, 0, CPU, 64) == INVALID_ENCODING
    assert guest.call("load", builders, 1, 7, CPU, 64) == INVALID_ARGUMENT
    assert guest.call("load", builders, 1, ONNX, 1, 64) == UNSUPPORTED
    assert guest.call("load", builders, 1, ONNX, 4, 64) == INVALID_ARGUMENT
    assert guest.call("load", builders, 2, ONNX, CPU, 64) == INVALID_ARGUMENT
    assert guest.call("load", builders, 0, ONNX, CPU, 64) == INVALID_ARGUMENT
    guest.put(2048, b"no")
    assert guest.call("load", builders, 1, ONNX, CPU, 64) == INVALID_ENCODING


def test_a_model_that_is_too_large_is_not_read(guest: Guest) -> None:
    builders = guest.put(1024, struct.pack("<II", 2048, 4097))
    assert guest.call("load", builders, 1, ONNX, CPU, 64) == TOO_LARGE
    guest.put(1024, struct.pack("<II", 2048, 2**32 - 1))
    assert guest.call("load", builders, 1, ONNX, CPU, 64) == TOO_LARGE


def test_an_unknown_name_is_not_found(guest: Guest) -> None:
    assert guest.call("load_by_name", guest.put(0, b"other"), 5, 64) == NOT_FOUND
    assert guest.call("load_by_name", guest.put(0, b"\xff"), 1, 64) == INVALID_ARGUMENT
    assert guest.call("load_by_name", 0, 1025, 64) == INVALID_ARGUMENT
    assert guest.call("load_by_name", 0, 0, 64) == NOT_FOUND


@pytest.mark.parametrize(
    ("config", "number"),
    [
        (b"", SUCCESS),
        (b"{}\0", INVALID_ARGUMENT),
        (b'{"enable-log": true}', SUCCESS),
        (b"[]", INVALID_ARGUMENT),
        (b"{", INVALID_ARGUMENT),
        (b"\xff", INVALID_ARGUMENT),
        (b"[" * 30_000, INVALID_ARGUMENT),
    ],
)
def test_a_config_must_be_a_json_object(guest: Guest, config: bytes, number: int) -> None:
    name, text = guest.put(0, b"doubling"), guest.put(1024, config) if config else 1024
    assert guest.call("load_by_name_with_config", name, 8, text, len(config), 64) == number


def test_a_long_config_is_refused(guest: Guest) -> None:
    assert guest.call("load_by_name_with_config", guest.put(0, b"doubling"), 8, 0, PAGE + 1, 64) == TOO_LARGE


@pytest.mark.parametrize("name", ["compute_single", "fini_single"])
def test_an_onnx_model_has_no_tokens(guest: Guest, name: str) -> None:
    assert guest.call(name, guest.load()) == UNSUPPORTED


def test_an_output_that_does_not_fit_is_not_written(guest: Guest) -> None:
    context = ready(guest)
    guest.put(64, b"\xff" * 4)
    assert guest.call("get_output", context, 0, 4096, 7, 64) == TOO_LARGE
    assert (guest.get(4096, 8), guest.get(64, 4)) == (bytes(8), b"\xff" * 4)
    assert guest.call("get_output", context, 0, PAGE - 8, 8, 64) == SUCCESS


def test_a_graph_is_unloaded_once(guest: Guest) -> None:
    context = ready(guest)
    assert guest.call("unload", 0) == SUCCESS
    assert guest.call("unload", 0) == INVALID_ARGUMENT
    assert guest.call("compute", context) == INVALID_ARGUMENT
    assert guest.call("init_execution_context", 0, 64) == INVALID_ARGUMENT


@pytest.mark.parametrize("forged", [1, 2**31, 2**32 - 1])
def test_a_forged_handle_is_an_invalid_argument(guest: Guest, forged: int) -> None:
    ready(guest)
    tensor = guest.put_tensor(1024, [1, 2], F32, ROW)
    assert guest.call("init_execution_context", forged, 64) == INVALID_ARGUMENT
    assert guest.call("set_input", forged, 0, tensor) == INVALID_ARGUMENT
    assert guest.call("compute", forged) == INVALID_ARGUMENT
    assert guest.call("get_output", forged, 0, 4096, 8, 64) == INVALID_ARGUMENT
    assert guest.call("get_output", 0, forged, 4096, 8, 64) == INVALID_ARGUMENT
    assert guest.call("unload", forged) == INVALID_ARGUMENT


@pytest.mark.parametrize("wild", WILD)
def test_a_pointer_to_outside_of_the_memory_is_an_invalid_argument(guest: Guest, nn: NnSession, wild: int) -> None:
    context = ready(guest)
    held, before = nn.held_bytes, guest.get(0, PAGE)
    name = guest.put(0, b"doubling")
    good = guest.put_tensor(1024, [1, 2], F32, ROW)
    assert guest.call("load_by_name", wild, 8, 64) == INVALID_ARGUMENT
    assert guest.call("load_by_name", name, 8, wild) == INVALID_ARGUMENT
    assert guest.call("load", wild, 1, ONNX, CPU, 64) == INVALID_ARGUMENT
    assert guest.call("load", 2048, 1, ONNX, CPU, wild) == INVALID_ARGUMENT
    assert guest.call("load", guest.put(2048, struct.pack("<II", wild, 8)), 1, ONNX, CPU, 64) == INVALID_ARGUMENT
    assert guest.call("load_by_name_with_config", name, 8, wild, 4, 64) == INVALID_ARGUMENT
    assert guest.call("init_execution_context", 0, wild) == INVALID_ARGUMENT
    assert guest.call("set_input", context, 0, wild) == INVALID_ARGUMENT
    assert guest.call("get_output", context, 0, wild, 8, 64) == INVALID_ARGUMENT
    assert guest.call("get_output", context, 0, 4096, wild, 64) == INVALID_ARGUMENT
    assert guest.call("get_output", context, 0, 4096, 8, wild) == INVALID_ARGUMENT
    for place, fields in enumerate([(wild, 2, F32, 1536, 8), (1056, 2, F32, wild, 8)]):
        guest.put(good, witx.TENSOR.pack(*fields))
        assert guest.call("set_input", context, 0, good) == INVALID_ARGUMENT, place
    assert nn.held_bytes == held
    assert guest.get(4096, 4096) == before[4096:8192]
    assert guest.call("compute", context) == SUCCESS


@pytest.mark.parametrize(
    ("fields", "number"),
    [
        ((1056, 2, F64, 1536, 8), INVALID_ARGUMENT),
        ((1056, 2, 6, 1536, 8), INVALID_ARGUMENT),
        ((1056, 2, 255, 1536, 8), INVALID_ARGUMENT),
        ((1056, 2, F32, 1536, 4), INVALID_ARGUMENT),
        ((1056, 2, F32, 1536, 4097), TOO_LARGE),
        ((1056, 2, F32, 1536, 2**32 - 1), TOO_LARGE),
        ((1056, 65, F32, 1536, 8), INVALID_ARGUMENT),
        ((1056, 2**32 - 1, F32, 1536, 8), INVALID_ARGUMENT),
    ],
)
def test_a_tensor_that_contradicts_itself_or_the_model_is_refused(
    guest: Guest, fields: tuple[int, ...], number: int
) -> None:
    context = guest.load()
    tensor = guest.put_tensor(1024, [1, 2], F32, ROW)
    guest.put(tensor, witx.TENSOR.pack(*fields))
    assert guest.call("set_input", context, 0, tensor) == number
    assert guest.call("compute", context) == INVALID_ARGUMENT  # the input is missing


def test_the_padding_of_a_tensor_is_ignored(guest: Guest) -> None:
    tensor = guest.put_tensor(1024, [1, 2], F32, ROW)
    guest.put(tensor + 9, b"\xff" * 3)
    assert guest.call("set_input", guest.load(), 0, tensor) == SUCCESS


def test_a_guest_without_a_memory_gets_an_error(nn: NnSession) -> None:
    for memory in ("", '(memory (export "other") 1)', '(global (export "memory") i32 (i32.const 0))'):
        assert Guest(nn, forwarder(memory=memory)).call("compute", 0) == MISSING_MEMORY


def test_a_memory_without_pages_has_no_place_for_a_result(nn: NnSession) -> None:
    guest = Guest(nn, forwarder(memory='(memory (export "memory") 0)'))
    assert guest.call("load_by_name", 0, 0, 0) == INVALID_ARGUMENT
    assert guest.call("get_output", 0, 0, 0, 0, 0) == INVALID_ARGUMENT
    assert guest.call("load_by_name_with_config", 0, 0, 0, 0, 0) == INVALID_ARGUMENT


def test_an_exception_of_the_host_is_an_error_of_the_guest_that_caused_it() -> None:
    """Wasmtime keeps an exception in a variable of the process, from which another guest could raise it."""
    backend = Doubling()
    backend.error = ZeroDivisionError("a bug")
    guest, neighbour = Guest(NnSession(backend)), Guest(NnSession(Doubling()))
    context = guest.load()
    assert guest.call("set_input", context, 0, guest.put_tensor(1024, [1, 2], F32, ROW)) == SUCCESS
    assert guest.call("compute", context) == RUNTIME_ERROR
    ready(neighbour)


def test_the_guest_stops_where_it_traps_and_its_neighbour_goes_on(nn: NnSession) -> None:
    wat = f"""(module (import "{witx.MODULE}" "compute" (func $compute (param i32) (result i32)))
      (memory (export "memory") 1)
      (func (export "compute") (param i32) (result i32) local.get 0 call $compute drop unreachable))"""
    neighbour = Guest(nn)
    with pytest.raises(wasmtime.Trap):
        Guest(NnSession(Doubling()), wat).call("compute", 0)
    ready(neighbour)


def test_only_the_functions_that_a_guest_imports_are_defined(nn: NnSession) -> None:
    """The definition of each takes time in every call."""
    engine = wasmtime.Engine()
    linker, store = wasmtime.Linker(engine), wasmtime.Store(engine)
    witx.add_to_linker(linker, nn, [(witx.MODULE, "compute"), (witx.MODULE, "unknown"), ("other", "load")])
    assert isinstance(linker.get(store, witx.MODULE, "compute"), wasmtime.Func)
    for name in witx.PARAMETERS.keys() - {"compute"}:
        with pytest.raises(wasmtime.WasmtimeError, match="not defined"):
            linker.get(store, witx.MODULE, name)


def test_an_instance_that_is_dropped_drops_its_session() -> None:
    extension: NnExtension | None = NnExtension(Doubling())
    assert extension is not None
    session = weakref.ref(extension.session)
    engine = wasmtime.Engine()
    linker: wasmtime.Linker | None = wasmtime.Linker(engine)
    assert linker is not None
    extension.add_to_linker(linker, [(witx.MODULE, name) for name in witx.PARAMETERS])
    store: wasmtime.Store | None = wasmtime.Store(engine)
    assert store is not None
    linker.instantiate(store, wasmtime.Module(engine, forwarder()))
    extension = linker = None
    gc.collect()
    assert session() is not None  # the instance may still call it
    store = None
    gc.collect()
    assert session() is None


def test_a_failed_call_does_not_keep_the_instance() -> None:
    """A traceback refers to the frames of all callers, and so to the instance and its memory."""
    guest: Guest | None = Guest(NnSession(Doubling()))
    assert guest is not None
    kept = weakref.ref(guest)
    gc.collect()
    gc.disable()
    try:
        assert guest.call("load_by_name", 0, 0, 64) == NOT_FOUND
        assert guest.call("compute", 7) == INVALID_ARGUMENT
        guest = None
        assert kept() is None
    finally:
        gc.enable()


CALLS = st.sampled_from(sorted(witx.PARAMETERS)).flatmap(
    lambda name: st.tuples(
        st.just(name), st.lists(WORD, min_size=witx.PARAMETERS[name], max_size=witx.PARAMETERS[name])
    )
)


@given(calls=st.lists(CALLS, max_size=12), memory=st.binary(max_size=256))
def test_no_sequence_of_calls_stops_the_host(calls: list[tuple[str, list[int]]], memory: bytes) -> None:
    with NnSession(Doubling(), Limits(tensor_bytes=4096, model_bytes=4096, handles=8)) as nn:
        guest = Guest(nn)
        ready(guest)
        guest.put(1024, memory + bytes(1))
        for name, arguments in calls:
            assert guest.call(name, *arguments) in {SUCCESS, *ERRNO.values()}
