"""What a guest holds in the host: every handle is checked, every tensor counted, and all ends with the instance."""

import logging
import re
from collections.abc import Callable

import numpy as np
import pytest

from runtime import errors
from runtime.wasi_nn import Limits, NnSession
from runtime.wasi_nn.faults import Code, NnError, fault_of
from runtime.wasi_nn.session import Encoding, Target
from runtime.wasi_nn.tensors import Tensor, TensorType
from tests.runtime.wasi_nn.doubling import Doubling

ROW = np.array([[1, 2]], np.float32)
INPUT = Tensor((1, 2), TensorType.FP32, ROW.tobytes())
OUTPUT = Tensor((1, 2), TensorType.FP32, (2 * ROW).tobytes())


def session(backend: Doubling | None = None, **limits: int) -> NnSession:
    return NnSession(backend or Doubling(), Limits(**limits))


def refused(call: Callable[[], object], code: Code, message: str | None = None) -> None:
    with pytest.raises(NnError, match=message) as caught:
        call()
    assert caught.value.code is code


def test_a_guest_loads_sets_computes_and_reads() -> None:
    with session() as nn:
        context = nn.open_context(nn.load_by_name("doubling"))
        nn.set_input(context, 0, INPUT)
        nn.compute(context)
        assert nn.output(context, 0) == nn.output(context, "y") == OUTPUT


def test_an_input_stays_set_and_can_be_replaced() -> None:
    nn = session()
    context = nn.open_context(nn.load_by_name("doubling"))
    nn.set_input(context, "x", INPUT)
    nn.compute(context)
    nn.compute(context)
    assert nn.output(context, 0) == OUTPUT
    nn.set_input(context, 0, OUTPUT)
    nn.compute(context)
    assert nn.output(context, 0).data == (4 * ROW).tobytes()


def test_all_inputs_and_outputs_pass_in_one_call() -> None:
    nn = session()
    context = nn.open_context(nn.load_by_name("doubling"))
    assert nn.run(context, [("x", INPUT)]) == [("y", OUTPUT)]
    assert nn.held_bytes == 0
    refused(lambda: nn.run(context, [("x", INPUT), ("x", INPUT)]), Code.INVALID_ARGUMENT, "got it twice")
    refused(lambda: nn.run(context, []), Code.INVALID_ARGUMENT, "inputs.x: got nothing")


def test_outputs_that_wasi_nn_cannot_carry_are_left_out() -> None:
    nn = session()
    context = nn.open_context(nn.load_by_name("mixed"))
    assert nn.run(context, [("x", INPUT)]) == [("y", OUTPUT)]
    nn.set_input(context, 0, INPUT)
    nn.compute(context)
    assert nn.output(context, "y") == OUTPUT
    refused(lambda: nn.output(context, "text"), Code.UNSUPPORTED_OPERATION, "output 'text' has the type string")


def test_contexts_do_not_share_their_tensors() -> None:
    nn = session()
    graph = nn.load_by_name("doubling")
    first, second = nn.open_context(graph), nn.open_context(graph)
    nn.set_input(first, 0, INPUT)
    refused(lambda: nn.compute(second), Code.INVALID_ARGUMENT)
    nn.compute(first)
    refused(lambda: nn.output(second, 0), Code.INVALID_ARGUMENT, "nothing was computed")


def test_a_failed_computation_leaves_no_outputs_of_the_one_before() -> None:
    backend = Doubling()
    nn = session(backend)
    context = nn.open_context(nn.load_by_name("doubling"))
    nn.set_input(context, 0, INPUT)
    nn.compute(context)
    backend.error = errors.QueueFull(limit=1, retry_after=1)
    refused(lambda: nn.compute(context), Code.BUSY)
    refused(lambda: nn.output(context, 0), Code.INVALID_ARGUMENT)
    assert nn.held_bytes == len(INPUT.data)


@pytest.mark.parametrize("forged", [1, 7, 2**32 - 1, -1])
def test_a_forged_handle_is_an_error(forged: int) -> None:
    nn = session()
    nn.open_context(nn.load_by_name("doubling"))
    calls: list[Callable[[], object]] = [
        lambda: nn.open_context(forged),
        lambda: nn.drop_graph(forged),
        lambda: nn.unload(forged),
        lambda: nn.set_input(forged, 0, INPUT),
        lambda: nn.compute(forged),
        lambda: nn.output(forged, 0),
        lambda: nn.run(forged, []),
        lambda: nn.drop_context(forged),
        lambda: nn.take_tensor(forged),
    ]
    for call in calls:
        refused(call, Code.INVALID_ARGUMENT, f"got the handle {forged}, which is not open")


def test_a_handle_is_closed_once() -> None:
    nn = session()
    graph = nn.load_by_name("doubling")
    context = nn.open_context(graph)
    nn.drop_context(context)
    refused(lambda: nn.drop_context(context), Code.INVALID_ARGUMENT)
    nn.drop_graph(graph)
    refused(lambda: nn.drop_graph(graph), Code.INVALID_ARGUMENT)
    tensor = nn.add_tensor(INPUT)
    assert nn.take_tensor(tensor) is INPUT
    refused(lambda: nn.take_tensor(tensor), Code.INVALID_ARGUMENT)


def test_the_contexts_of_a_dropped_graph_stay_valid_and_those_of_an_unloaded_one_do_not() -> None:
    nn = session()
    dropped, unloaded = nn.load_by_name("doubling"), nn.load_by_name("doubling")
    kept, gone = nn.open_context(dropped), nn.open_context(unloaded)
    nn.set_input(gone, 0, INPUT)
    nn.drop_graph(dropped)
    nn.unload(unloaded)
    assert nn.run(kept, [("x", INPUT)])
    refused(lambda: nn.run(gone, [("x", INPUT)]), Code.INVALID_ARGUMENT)
    assert nn.held_bytes == 0


@pytest.mark.parametrize("key", [1, -1, 2**32 - 1, "z", "", "y" * 1000])
def test_an_input_or_output_that_the_graph_lacks_is_an_error(key: str | int) -> None:
    nn = session()
    context = nn.open_context(nn.load_by_name("doubling"))
    refused(lambda: nn.set_input(context, key, INPUT), Code.INVALID_ARGUMENT, re.escape("expected one of 0 (x)"))
    nn.set_input(context, 0, INPUT)
    nn.compute(context)
    refused(lambda: nn.output(context, key), Code.INVALID_ARGUMENT, re.escape("expected one of 0 (y)"))


def test_a_model_can_be_passed_as_bytes() -> None:
    backend = Doubling()
    nn = session(backend, model_bytes=6)
    for encoding in (Encoding.ONNX, Encoding.AUTODETECT):
        assert nn.run(nn.open_context(nn.load([b"onnx.."], encoding, Target.CPU)), [("x", INPUT)])
    assert backend.models == [b"onnx.."] * 2
    load = nn.load
    refused(lambda: load([b"onnx..."], Encoding.ONNX, Target.CPU), Code.TOO_LARGE, "got 7 bytes; expected at most 6")
    refused(lambda: load([b"pb"], Encoding.ONNX, Target.CPU), Code.INVALID_ENCODING, "no ONNX model")
    refused(lambda: load([b"onnx"], Encoding.OPENVINO, Target.CPU), Code.INVALID_ENCODING, "got openvino")
    refused(lambda: load([b"onnx"], Encoding.ONNX, Target.TPU), Code.UNSUPPORTED_OPERATION, "got tpu; expected cpu")
    for builders in ([], [b"onnx", b"weights"]):
        refused(lambda parts=builders: load(parts, Encoding.ONNX, Target.CPU), Code.INVALID_ARGUMENT, "expected 1")  # type: ignore[misc]


def test_a_host_may_refuse_models_from_bytes() -> None:
    nn = session(model_bytes=0)
    refused(lambda: nn.load([b"onnx"], Encoding.ONNX, Target.CPU), Code.UNSUPPORTED_OPERATION, "by its name")


def test_an_unknown_name_is_an_error_that_lists_the_models() -> None:
    refused(lambda: session().load_by_name("other"), Code.NOT_FOUND, "served: doubling")


def test_a_guest_holds_a_limited_number_of_handles() -> None:
    nn = session(handles=2)
    graph = nn.load_by_name("doubling")
    nn.load_by_name("doubling")
    refused(lambda: nn.load_by_name("doubling"), Code.TOO_LARGE)
    refused(lambda: nn.load([b"onnx"], Encoding.ONNX, Target.CPU), Code.TOO_LARGE)
    for _ in range(2):
        nn.open_context(graph)
        nn.add_tensor(INPUT)
    refused(lambda: nn.open_context(graph), Code.TOO_LARGE)
    refused(lambda: nn.add_tensor(INPUT), Code.TOO_LARGE)
    assert nn.held_bytes == 2 * len(INPUT.data)


def test_a_guest_holds_a_limited_number_of_bytes() -> None:
    nn = session(held_bytes=20, tensor_bytes=8)
    graph = nn.load_by_name("doubling")
    first, second = nn.open_context(graph), nn.open_context(graph)
    nn.set_input(first, 0, INPUT)
    nn.set_input(first, 0, INPUT)  # it replaces the first one
    nn.set_input(second, 0, INPUT)
    refused(lambda: nn.compute(first), Code.TOO_LARGE, "expected at most 20 in all")
    refused(lambda: nn.add_tensor(INPUT), Code.TOO_LARGE)
    assert nn.held_bytes == 16
    nn.drop_context(second)
    nn.compute(first)
    nn.compute(first)
    assert nn.held_bytes == 16
    two = Tensor((2, 2), TensorType.FP32, bytes(16))
    for call in (lambda: nn.set_input(first, 0, two), lambda: nn.add_tensor(two), lambda: nn.run(first, [("x", two)])):
        refused(call, Code.TOO_LARGE, "a tensor: got 16 bytes; expected at most 8")


def test_everything_ends_with_the_instance() -> None:
    nn = session()
    with nn:
        graph = nn.load_by_name("doubling")
        context = nn.open_context(graph)
        nn.set_input(context, 0, INPUT)
        nn.add_tensor(INPUT)
    assert nn.held_bytes == 0
    refused(lambda: nn.open_context(graph), Code.INVALID_ARGUMENT)
    refused(lambda: nn.compute(context), Code.INVALID_ARGUMENT)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InvalidInput("x", got="a", expected="b"), Code.INVALID_ARGUMENT),
        (errors.RejectedByModel("m", "r"), Code.INVALID_ARGUMENT),
        (errors.RunTimeout("m", 1.0), Code.TIMEOUT),
        (errors.ShuttingDown(), Code.BUSY),
        (errors.ModelFailed("m", "r"), Code.RUNTIME_ERROR),
        (errors.AccessDenied("s3://b/k", "r"), Code.SECURITY),
        (NnError(Code.SECURITY, "no"), Code.SECURITY),
    ],
)
def test_an_error_of_the_runtime_is_one_of_wasi_nn(error: Exception, code: Code) -> None:
    backend = Doubling()
    backend.error = error
    nn = session(backend)
    context = nn.open_context(nn.load_by_name("doubling"))
    refused(lambda: nn.run(context, [("x", INPUT)]), code, re.escape(str(error)))


def test_an_unexpected_exception_is_logged_and_its_text_hidden(caplog: pytest.LogCaptureFixture) -> None:
    fault = fault_of(ZeroDivisionError("secret"))
    assert fault.code is Code.RUNTIME_ERROR
    assert "secret" not in fault.message
    assert "secret" in caplog.text


def test_only_the_first_failures_of_a_guest_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    nn = session()
    with caplog.at_level(logging.WARNING, "scalezero.wasi_nn"):
        for _ in range(100):
            nn.report(NnError(Code.BUSY, "busy"))
    assert len(caplog.records) == 8
