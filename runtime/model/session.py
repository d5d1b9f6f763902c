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
from runtime.model import elements, file_kind, values
from runtime.model.graph import read_facts
from runtime.model.signature import Signature
from runtime.tensors import STRING, TensorSpec, as_array

_log = logging.getLogger("scalezero.model")
_QUICK: Final = 0.005  # seconds
_MIXED: Final = (
    "an output of bfloat16, float8, 4 or 2 bits beside strings, sequences, maps or optional values cannot be served; "
    "export the model with a Cast to float at that output"
)
_UNSET_VERSION: Final = 2**63 - 1  # what ONNX Runtime gives where the file has none


class Session:
    """One model, ready to run. Runs may come from any thread; ONNX Runtime releases the GIL in them."""

    def __init__(self, path: Path, *, uri: str, name: str, threads: int) -> None:
        """Open the file with pools of `threads`.

        Raises `InvalidModel` with what the file is instead of a model, or with ONNX Runtime's own reason.
        """
        self.name = name
        try:
            self._session = ort.InferenceSession(path, _options(threads), providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's exceptions share no base class but this one
            raise InvalidModel(uri, _not_a_model(path) or _reason(error)) from error
        self.facts = read_facts(path)
        scalars = self.facts.scalars
        self.signature = signature = Signature(
            tuple(_spec(node, uri, scalars) for node in self._session.get_inputs()),
            tuple(_spec(node, uri, scalars) for node in self._session.get_outputs()),
        )
        self._inputs = [spec.name for spec in signature.inputs]
        self._outputs = [spec.name for spec in signature.outputs]
        self._takes_arrays = all(_is_array(spec) for spec in signature.inputs)
        self._gives_narrow = any(elements.narrow(spec.dtype) for spec in signature.outputs)
        specs = (*signature.inputs, *signature.outputs)
        if self._gives_narrow and not all(_may_be_ort_value(spec) for spec in specs):
            raise InvalidModel(uri, _MIXED)

    def run(self, tensors: Sequence[np.ndarray], options: "ort.RunOptions | None" = None) -> list[np.ndarray]:
        """Run on one array per input, in the signature's order; return one array per output, in its order.

        Raises `RejectedByModel` where the graph cannot compute on this input, `ModelFailed` where it is out of memory.
        """
        try:
            return self._computed(tensors, options)
        except MemoryError as error:
            raise ModelFailed(self.name, "out of memory") from error
        except Exception as error:  # as above
            reason = _reason(error)
            if "bad_alloc" in reason or "Failed to allocate" in reason:
                raise ModelFailed(self.name, "out of memory") from error
            raise RejectedByModel(self.name, reason) from error

    def _computed(self, tensors: Sequence[np.ndarray], options: "ort.RunOptions | None") -> list[np.ndarray]:
        if self._gives_narrow:
            feeds = dict(zip(self._inputs, map(values.ort_value, tensors), strict=True))
            computed = self._session.run_with_ort_values(self._outputs, feeds, options)
            return list(map(values.array_of, computed, self.signature.outputs))
        if not self._takes_arrays:
            tensors = list(map(values.feed, tensors, self.signature.inputs))
        outputs = self._session.run(self._outputs, dict(zip(self._inputs, tensors, strict=True)), options)
        return list(map(as_array, outputs))

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
        return [values.example(spec) for spec in self.signature.inputs]


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


def _spec(node: "ort.NodeArg", uri: str, scalars: frozenset[str]) -> TensorSpec:
    return elements.spec_of(node.name, node.type, node.shape, scalar=node.name in scalars, uri=uri)


def _is_array(spec: TensorSpec) -> bool:
    """Whether ONNX Runtime takes and gives the value as a NumPy array."""
    return not spec.containers and elements.narrow(spec.dtype) is None


def _may_be_ort_value(spec: TensorSpec) -> bool:
    """Whether Python can make an OrtValue of it, and read it."""
    return not spec.containers and spec.dtype != STRING


def _not_a_model(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            kind = file_kind.kind_of(file.read(file_kind.HEAD))
    except OSError:
        return None
    return kind and f"it is not an ONNX model but {kind}"


def _reason(error: Exception) -> str:
    """ONNX Runtime's message without its prefix, `[ONNXRuntimeError] : 7 : INVALID_PROTOBUF : ...`."""
    text = " ".join(str(error).split())
    return text.rpartition("[ONNXRuntimeError] : ")[2] if text.startswith("[ONNXRuntimeError]") else text
