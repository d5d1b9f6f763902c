"""An ONNX Runtime session: opens a verified file, reads its signature, and runs it on stacked rows.

Only this module, `compiling.py`, `preparing.py`, `providers.py` and `values.py` import onnxruntime.
"""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import Final

import numpy as np
import onnxruntime as ort

from runtime.errors import InvalidModel, ModelFailed, RejectedByModel, ScalezeroError
from runtime.model import elements, file_kind, prepared, values
from runtime.model.graph import read_facts
from runtime.model.signature import Signature
from runtime.tensors import STRING, TensorSpec, as_array
from runtime.variants.names import CPU_PROVIDER

_log = logging.getLogger("scalezero.model")
_SHORT_RUN: Final = 0.005  # seconds
_MIXED: Final = (
    "a model that has an output of bfloat16, float8, 4 or 2 bits together with strings, sequences, maps or optional "
    "values cannot be served; export the model with a Cast to float at that output"
)
_UNSET_VERSION: Final = 2**63 - 1  # ONNX Runtime's value if the file has no version


class Session:
    """One model, ready to run from any thread. ONNX Runtime releases the GIL during a run."""

    def __init__(
        self,
        path: Path,
        *,
        uri: str,
        name: str,
        threads: int,
        provider: str = CPU_PROVIDER,
        prepared_form: bool = False,
    ) -> None:
        """Open the file on an execution provider, with a pool of `threads` threads.

        A plugin provider takes the nodes that it supports; ONNX Runtime's CPU provider runs the others. Only a
        `prepared_form`, which scalezero made, is trusted in what its note says: it has the facts of the original, and
        its graph may need no optimization. A note in any other file may be a copy or forged.

        Raises `InvalidModel` with the kind of the file if it is not a model, else with ONNX Runtime's reason, and
        `ProviderUnavailable` if the provider cannot be used on this machine.
        """
        self.name = name
        self.provider = provider
        note = prepared.read_note(path) if prepared_form else None
        if provider == CPU_PROVIDER:
            options = session_options(threads)
            if note is not None and prepared.is_optimized(note):
                options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
            self._session = _open(path, uri, options, providers=[CPU_PROVIDER])
        else:
            from runtime.model import plugin

            options = plugin.options_for(path, uri=uri, provider=provider, options=session_options(threads))
            # With the fallback, onnxruntime would open the model again on its CPU provider after an error.
            self._session = _open(path, uri, options, enable_fallback=0)
        self.facts = read_facts(path) if note is None else note.facts
        scalars = self.facts.scalars
        self.signature = signature = Signature(
            tuple(_spec(node, uri, scalars) for node in self._session.get_inputs()),
            tuple(_spec(node, uri, scalars) for node in self._session.get_outputs()),
        )
        self._inputs = [spec.name for spec in signature.inputs]
        self._outputs = [spec.name for spec in signature.outputs]
        self._inputs_are_arrays = all(_is_array(spec) for spec in signature.inputs)
        self._has_narrow_output = any(elements.narrow(spec.dtype) for spec in signature.outputs)
        specs = (*signature.inputs, *signature.outputs)
        if self._has_narrow_output and not all(_may_be_ort_value(spec) for spec in specs):
            raise InvalidModel(uri, _MIXED)

    def run(self, tensors: Sequence[np.ndarray], options: "ort.RunOptions | None" = None) -> list[np.ndarray]:
        """Run on one array per input, and return one array per output, both in the signature's order.

        Raises `RejectedByModel` if the graph cannot compute on this input, and `ModelFailed` if memory is exhausted.
        """
        try:
            return self._run_session(tensors, options)
        except MemoryError as error:
            raise ModelFailed(self.name, "out of memory") from error
        except Exception as error:  # as above
            reason = reason_of(error)
            if "bad_alloc" in reason or "Failed to allocate" in reason:
                raise ModelFailed(self.name, "out of memory") from error
            raise RejectedByModel(self.name, reason) from error

    def _run_session(self, tensors: Sequence[np.ndarray], options: "ort.RunOptions | None") -> list[np.ndarray]:
        if self._has_narrow_output:
            feeds = dict(zip(self._inputs, map(values.ort_value, tensors), strict=True))
            computed = self._session.run_with_ort_values(self._outputs, feeds, options)
            return list(map(values.array_of, computed, self.signature.outputs))
        if not self._inputs_are_arrays:
            tensors = list(map(values.feed, tensors, self.signature.inputs))
        outputs = self._session.run(self._outputs, dict(zip(self._inputs, tensors, strict=True)), options)
        return list(map(as_array, outputs))

    def stoppable(self) -> "StoppableRun":
        """Return a run that another thread can stop."""
        return StoppableRun(self)

    @property
    def version(self) -> str:
        """The version in the file, or "1" if it has none."""
        number = self._session.get_modelmeta().version
        return str(number) if 0 < number < _UNSET_VERSION else "1"

    def warm_up(
        self, run: Callable[[Sequence[np.ndarray]], object] | None = None, *, required: bool = False
    ) -> list[float]:
        """Run on generated rows, so that no caller waits for first-time work.

        Return the seconds of the last run, if any. A model may reject zeros and still be valid: it is then served
        without a warm-up, unless it is `required`: then this raises `RejectedByModel`. A model with a short run runs
        twice, because the first run is slower than later ones. `run` replaces `Session.run`, for example with a
        stoppable run.
        """
        seconds: list[float] = []
        try:
            while not seconds or (len(seconds) == 1 and seconds[0] < _SHORT_RUN):
                started = perf_counter()
                (run or self.run)(self._example())
                seconds.append(perf_counter() - started)
        except ScalezeroError as error:
            if required and isinstance(error, RejectedByModel):
                raise
            _log.warning("warm-up failed", extra={"model": self.name, "reason": str(error)})
        return seconds[-1:]

    def _example(self) -> list[np.ndarray]:
        """Return zeros (or empty strings) that fit the signature; dynamic axes have size 1."""
        return [values.example(spec) for spec in self.signature.inputs]


class StoppableRun:
    """A run of a session that can be stopped. ONNX Runtime checks the flag between operators, also within loops.

    OpenVINO computes all nodes that it takes as one operator, so a run on it ends only when it is done.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._options = ort.RunOptions()
        self._reason: ScalezeroError | None = None

    def __call__(self, tensors: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Run as `Session.run` does; raises the `reason` of `stop` if `stop` was called before the run ended."""
        try:
            return self._session.run(tensors, self._options)
        except RejectedByModel as error:
            if self._reason is not None:
                raise self._reason from error
            raise

    def stop(self, reason: ScalezeroError) -> None:
        """Make the run end as soon as possible and raise `reason`."""
        self._reason = reason
        self._options.terminate = True


def _open(path: Path, uri: str, options: "ort.SessionOptions", **how: object) -> "ort.InferenceSession":
    try:
        return ort.InferenceSession(path, options, **how)
    except Exception as error:  # onnxruntime's exceptions have no other common base class
        raise InvalidModel(uri, _file_kind(path) or reason_of(error)) from error


def session_options(threads: int) -> "ort.SessionOptions":
    """Return the options of every session, with a pool of `threads` threads."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # fatal: its lines do not have our log format, and it reports errors as exceptions
    # A pool that spins between runs consumes the CPU quota that the next run needs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Several threads pack the weights of several nodes at a time; with one thread this changes nothing.
    options.add_session_config_entry("session.prepack.enable_parallel", "1")
    return options


def _spec(node: "ort.NodeArg", uri: str, scalars: frozenset[str]) -> TensorSpec:
    return elements.spec_of(node.name, node.type, node.shape, scalar=node.name in scalars, uri=uri)


def _is_array(spec: TensorSpec) -> bool:
    """Return whether ONNX Runtime represents the value as a NumPy array."""
    return not spec.containers and elements.narrow(spec.dtype) is None


def _may_be_ort_value(spec: TensorSpec) -> bool:
    """Return whether Python can create and read an OrtValue of this type."""
    return not spec.containers and spec.dtype != STRING


def _file_kind(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            kind = file_kind.kind_of(file.read(file_kind.HEAD))
    except OSError:
        return None
    return kind and f"it is not an ONNX model but {kind}"


def reason_of(error: Exception) -> str:
    """Return ONNX Runtime's message without its prefix, `[ONNXRuntimeError] : 7 : INVALID_PROTOBUF : ...`."""
    text = " ".join(str(error).split())
    return text.rpartition("[ONNXRuntimeError] : ")[2] if text.startswith("[ONNXRuntimeError]") else text
