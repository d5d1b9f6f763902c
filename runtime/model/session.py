"""An ONNX Runtime session: opened on a verified file, described by its signature, run on stacked rows.

The only module that imports onnxruntime.
"""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Final

import numpy as np

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before the import: it would write a device id and call home
import onnxruntime as ort

from runtime.errors import InvalidModel, ModelFailed, RejectedByModel, ScalezeroError
from runtime.model import elements, file_kind, values
from runtime.model.signature import Signature
from runtime.tensors import STRING, TensorSpec, as_array

_log = logging.getLogger("scalezero.model")
_QUICK: Final = 0.005  # seconds
_GROSS: Final = 0.1  # of the largest output: a difference that no rounding makes
_MIXED: Final = (
    "an output of bfloat16, float8, 4 or 2 bits beside strings, sequences, maps or optional values cannot be served; "
    "export the model with a Cast to float at that output"
)
_UNSET_VERSION: Final = 2**63 - 1  # what ONNX Runtime gives where the file has none


class Session:
    """One model, ready to run. Runs may come from any thread; ONNX Runtime releases the GIL in them."""

    def __init__(self, path: Path, *, uri: str, name: str, threads: int, scalars: frozenset[str] = frozenset()) -> None:
        """Open the file with pools of `threads`; `scalars` names the inputs and outputs that have no axes.

        Raises `InvalidModel` with what the file is instead of a model, or with ONNX Runtime's own reason.
        """
        self.name = name
        try:
            self._session = ort.InferenceSession(path, _options(threads), providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's exceptions share no base class but this one
            raise InvalidModel(uri, _not_a_model(path) or _reason(error)) from error
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

    def run(self, tensors: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Run on one array per input, in the signature's order; return one array per output, in its order.

        Raises `RejectedByModel` where the graph cannot compute on this input, `ModelFailed` where it is out of memory.
        """
        try:
            return self._computed(tensors)
        except MemoryError as error:
            raise ModelFailed(self.name, "out of memory") from error
        except Exception as error:  # as above
            reason = _reason(error)
            if "bad_alloc" in reason or "Failed to allocate" in reason:
                raise ModelFailed(self.name, "out of memory") from error
            raise RejectedByModel(self.name, reason) from error

    def _computed(self, tensors: Sequence[np.ndarray]) -> list[np.ndarray]:
        if self._gives_narrow:
            feeds = dict(zip(self._inputs, map(values.ort_value, tensors), strict=True))
            computed = self._session.run_with_ort_values(self._outputs, feeds)
            return list(map(values.array_of, computed, self.signature.outputs))
        if not self._takes_arrays:
            tensors = list(map(values.feed, tensors, self.signature.inputs))
        outputs = self._session.run(self._outputs, dict(zip(self._inputs, tensors, strict=True)))
        return list(map(as_array, outputs))

    @property
    def version(self) -> str:
        """The version that the file itself carries, "1" where it has none."""
        number = self._session.get_modelmeta().version
        return str(number) if 0 < number < _UNSET_VERSION else "1"

    def warm_up(self) -> list[float]:
        """Run once on made-up rows, so that no caller pays for first-time work; return a steady run's seconds, if any.

        A model that refuses zeros is not broken for it: it is then served cold. A quick model runs twice, as the first
        run's own costs would mislead the cost model.
        """
        seconds: list[float] = []
        try:
            while not seconds or (len(seconds) == 1 and seconds[0] < _QUICK):
                started = perf_counter()
                self.run(self._example())
                seconds.append(perf_counter() - started)
        except ScalezeroError as error:
            _log.warning("no warm-up", extra={"model": self.name, "reason": str(error)})
        return seconds[-1:]

    def rows_are_independent(self) -> bool:
        """Whether two made-up rows give together what each gives alone: then the first axis is a batch axis.

        Names and shapes only suggest it; a softmax or a running sum along that axis would mix the rows of callers. What
        a batch changes in the last digits, and an int8 model in the second, is not meant; a model that refuses the rows
        is taken at its word.
        """
        rows = [self._made_up(seed) for seed in (1, 2)]
        try:
            alone = [self.run(row) for row in rows]
            both = self.run([np.concatenate(column) for column in zip(*rows, strict=True)])
        except ScalezeroError:
            return True
        apart = [np.concatenate(column) if column[0].ndim else column[0] for column in zip(*alone, strict=True)]
        same = all(_alike(one, other) for one, other in zip(both, apart, strict=True))
        if not same:
            _log.warning("no batching: the rows of a run change each other's outputs", extra={"model": self.name})
        return same

    def _made_up(self, seed: int) -> list[np.ndarray]:
        """One row of random small values that fits the signature."""
        random = np.random.default_rng(seed)
        tensors = []
        for spec, zeros in zip(self.signature.inputs, self._example(), strict=True):
            if spec.dtype == STRING:
                tensors.append(np.full_like(zeros, f"{seed}"))
            elif spec.dtype.kind == "f":
                tensors.append(random.standard_normal(zeros.shape).astype(spec.dtype))
            else:
                tensors.append(random.integers(0, 2, zeros.shape).astype(spec.dtype))
        return tensors

    def _example(self) -> list[np.ndarray]:
        """Zeros (or empty strings) that fit the signature; dynamic axes have size 1."""
        return [values.example(spec) for spec in self.signature.inputs]


def _alike(one: np.ndarray, other: np.ndarray) -> bool:
    if one.shape != other.shape or one.dtype.kind not in "fiu":
        return one.shape == other.shape
    scale = float(np.abs(other[np.isfinite(other)]).max(initial=0.0))
    return np.allclose(one, other, rtol=0.0, atol=_GROSS * scale, equal_nan=True)


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
