"""An ONNX Runtime session: opened on a verified file, described by its signature, run on stacked rows.

The only module that imports onnxruntime.
"""

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import Final

import numpy as np

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before the import: it would write a device id and call home
import onnxruntime as ort

from runtime.errors import InvalidModel, ModelFailed, RejectedByModel, ScalezeroError
from runtime.model.graph import read_facts
from runtime.model.signature import STRING, Signature, TensorSpec

_log = logging.getLogger("scalezero.model")
_QUICK: Final = 0.005  # seconds
_UNSET_VERSION: Final = 2**63 - 1  # what ONNX Runtime gives where the file has none
_ELEMENTS: Final = {
    "float": np.float32,
    "double": np.float64,
    "float16": np.float16,
    "int8": np.int8,
    "int16": np.int16,
    "int32": np.int32,
    "int64": np.int64,
    "uint8": np.uint8,
    "uint16": np.uint16,
    "uint32": np.uint32,
    "uint64": np.uint64,
    "bool": np.bool_,
    "string": object,
}


class Session:
    """One model, ready to run. Runs may come from any thread; ONNX Runtime releases the GIL in them."""

    def __init__(self, path: Path, *, uri: str, name: str, threads: int) -> None:
        """Open the file with pools of `threads`. Raises `InvalidModel` with ONNX Runtime's own reason."""
        self.name = name
        try:
            self._session = ort.InferenceSession(path, _options(threads), providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's exceptions share no base class but this one
            raise InvalidModel(uri, _reason(error)) from error
        self.signature = Signature(
            tuple(_spec(node, uri) for node in self._session.get_inputs()),
            tuple(_spec(node, uri, output=True) for node in self._session.get_outputs()),
        )
        self._inputs = [spec.name for spec in self.signature.inputs]
        self._outputs = [spec.name for spec in self.signature.outputs]
        self.facts = read_facts(path)

    def run(self, tensors: Sequence[np.ndarray], options: "ort.RunOptions | None" = None) -> list[np.ndarray]:
        """Run on one array per input, in the signature's order; return one array per output, in its order.

        Raises `RejectedByModel` where the graph cannot compute on this input, `ModelFailed` where it is out of memory.
        """
        try:
            outputs = self._session.run(self._outputs, dict(zip(self._inputs, tensors, strict=True)), options)
        except MemoryError as error:
            raise ModelFailed(self.name, "out of memory") from error
        except Exception as error:  # as above
            reason = _reason(error)
            if "bad_alloc" in reason or "Failed to allocate" in reason:
                raise ModelFailed(self.name, "out of memory") from error
            raise RejectedByModel(self.name, reason) from error
        return [each if isinstance(each, np.ndarray) else _objects(each) for each in outputs]

    def stoppable(self) -> "StoppableRun":
        """One run that another thread can stop."""
        return StoppableRun(self)

    @property
    def version(self) -> str:
        """The version that the file itself carries, "1" where it has none."""
        number = self._session.get_modelmeta().version
        return str(number) if 0 < number < _UNSET_VERSION else "1"

    def warm_up(self, run: Callable[[Sequence[np.ndarray]], object] | None = None) -> list[float]:
        """Run once on made-up rows, so that no caller pays for first-time work; return a steady run's seconds, if any.

        A model that refuses zeros is not broken for it: it is then served cold. A quick model runs twice, as the first
        run's own costs would mislead the cost model. `run` runs it where the warm-up is to be stopped from outside.
        """
        seconds: list[float] = []
        try:
            while not seconds or (len(seconds) == 1 and seconds[0] < _QUICK):
                started = perf_counter()
                (run or self.run)(self._example())
                seconds.append(perf_counter() - started)
        except ScalezeroError as error:
            _log.warning("no warm-up", extra={"model": self.name, "reason": str(error)})
        return seconds[-1:]

    def _example(self) -> list[np.ndarray]:
        """Zeros (or empty strings) that fit the signature; dynamic axes have size 1."""
        tensors = []
        for spec in self.signature.inputs:
            shape = [size if isinstance(size, int) else 1 for size in spec.shape or ()]
            tensors.append(np.full(shape, "" if spec.dtype == STRING else 0, dtype=spec.dtype))
        return tensors


class StoppableRun:
    """One run of a session. ONNX Runtime looks at the flag between operators, within loops too."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._options = ort.RunOptions()
        self._reason: ScalezeroError | None = None

    def __call__(self, tensors: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Run as `Session.run` does; raises the reason of `stop` where that came first."""
        try:
            return self._session.run(tensors, self._options)
        except RejectedByModel as error:
            if self._reason is not None:
                raise self._reason from error
            raise

    def stop(self, reason: ScalezeroError) -> None:
        """Make the run end as soon as it can, and raise `reason`."""
        self._reason = reason
        self._options.terminate = True


def _options(threads: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # fatal: its lines are not in our log format, and its errors come as exceptions
    # A pool that spins between runs burns the quota that the next run needs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _spec(node: "ort.NodeArg", uri: str, *, output: bool = False) -> TensorSpec:
    kind: str = node.type
    if not kind.startswith("tensor("):
        if output:  # scikit-learn's ZipMap: a list with one mapping a row
            return TensorSpec(node.name, STRING, None)
        raise InvalidModel(uri, f"input {node.name!r} is a {kind}; only tensors can be served")
    element = _ELEMENTS.get(kind.removeprefix("tensor(").removesuffix(")"))
    if element is None:
        raise InvalidModel(uri, f"{node.name!r} is a {kind}; NumPy has no such element type")
    # ONNX Runtime gives [] both for a scalar and for an unknown rank: take it as unknown.
    return TensorSpec(node.name, np.dtype(element), tuple(node.shape) or None)


def _objects(rows: Sequence[object]) -> np.ndarray:
    array = np.empty(len(rows), dtype=object)
    for index, row in enumerate(rows):  # assigned at once, arrays of one shape would be taken for further axes
        array[index] = row
    return array


def _reason(error: Exception) -> str:
    """ONNX Runtime's message without its prefix, `[ONNXRuntimeError] : 7 : INVALID_PROTOBUF : ...`."""
    text = " ".join(str(error).split())
    return text.rpartition("[ONNXRuntimeError] : ")[2] if text.startswith("[ONNXRuntimeError]") else text
