"""Makes a model quantizable: a recent operator set, folded constants, and a known rank of each value.

    original ──► opset >= 13 ──► constants folded, BatchNormalization fused ──► operator sets declared once
             ──► ranks of all values ──► Quantizable

It runs in the worker. A ValueError states why the model cannot be quantized.
"""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, version_converter
from onnxruntime.quantization.shape_inference import quant_pre_process

from runtime.errors import ScalezeroError
from runtime.model.session import Session

LEAST_OPSET: Final = 13  # the first whose DequantizeLinear has a scale for each channel
_NEW_OPSET: Final = 17
_MOST_BYTES: Final = 1900 * 2**20  # of a model with its weights: a protobuf message has less than 2 GiB
_QUANTIZED: Final = {"QuantizeLinear", "DynamicQuantizeLinear", "MatMulNBits", "QLinearConv", "QLinearMatMul"}
_COMPARED: Final = 16  # rows on which two files are compared
_PASSING: Final = {"Cast", "Dropout", "Identity"}
_ATTENTION: Final = {"Attention", "GroupQueryAttention", "MultiHeadAttention"}


class Quantizable(NamedTuple):
    """A model that the methods accept, and rows for it."""

    path: Path
    rows: Mapping[str, np.ndarray]  # by the name of the input
    samples: Collection[str]  # the inputs without an axis of rows

    def feeds(self) -> Iterator[dict[str, np.ndarray]]:
        """Yield the inputs of a run with one row, for each row."""
        for index in range(len(next(iter(self.rows.values())))):
            yield {
                name: np.asarray(array[index]) if name in self.samples else array[index : index + 1]
                for name, array in self.rows.items()
            }

    def outputs(self, path: Path) -> list[np.ndarray]:
        """Return the outputs of a file for some of the rows, joined. Raises as `Session`."""
        session = Session(path, uri=path.name, name=path.stem, threads=os.cpu_count() or 1)
        names = [spec.name for spec in session.signature.inputs]
        runs = [session.run([feed[name] for name in names]) for feed in islice(self.feeds(), _COMPARED)]
        return [np.concatenate([np.ravel(each) for each in outputs]) for outputs in zip(*runs, strict=True)]


def make_quantizable(source: Path, folder: Path, *, rows: Path, samples: Collection[str]) -> Quantizable:
    """Return the model as the methods accept it.

    Raises ValueError with what cannot be quantized, and the exceptions of the libraries.
    """
    _check_size(source)
    model = onnx.load(source)
    _check_graph(model)
    ready = folder / "quantizable.onnx"
    recent = _with_recent_opset(model)
    start = folder / "recent.onnx"
    onnx.save(recent, start)
    quant_pre_process(str(start), str(ready), skip_symbolic_shape=True)
    start.unlink()
    _declare_operator_sets_once(ready)
    quantizable = Quantizable(ready, _read_rows(rows), frozenset(samples))
    _add_ranks(quantizable, folder)
    return quantizable


def _check_size(source: Path) -> None:
    model = onnx.load(source, load_external_data=False)
    external = sum(
        int(entry.value)
        for tensor in model.graph.initializer
        for entry in tensor.external_data
        if entry.key == "length"
    )
    size = source.stat().st_size + external
    if size > _MOST_BYTES:
        raise ValueError(
            f"the model has {size / 2**20:.0f} MiB; the tools for quantization take at most {_MOST_BYTES // 2**20} MiB"
        )


def _check_graph(model: onnx.ModelProto) -> None:
    kinds = {node.op_type for node in model.graph.node}
    if found := sorted(kinds & _QUANTIZED):
        raise ValueError(f"the model is quantized already: it has {', '.join(found)}")


def _with_recent_opset(model: onnx.ModelProto) -> onnx.ModelProto:
    versions = {each.domain: each.version for each in model.opset_import}
    opset = versions.get("", versions.get("ai.onnx", 0))
    if not opset or opset >= LEAST_OPSET:
        return model
    try:
        return version_converter.convert_version(model, _NEW_OPSET)
    except Exception as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"its operator set {opset} is older than {LEAST_OPSET}, and cannot be converted to {_NEW_OPSET}: {reason}"
        ) from error


def _declare_operator_sets_once(path: Path) -> None:
    """Declare each operator set once, that of the standard's operators first.

    ONNX Runtime's tools refuse a set that is declared twice, as skl2onnx can do, and NNCF reads only the first set.
    """
    model = onnx.load(path)
    declared = [(each.domain, each.version) for each in model.opset_import]
    once = sorted(dict(declared).items(), key=lambda each: each[0] not in {"", "ai.onnx"})
    if once == declared:
        return
    del model.opset_import[:]
    model.opset_import.extend(helper.make_opsetid(domain, version) for domain, version in once)
    onnx.save(model, path)


def _read_rows(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as archive:
        return {
            name: array.astype(object) if array.dtype.kind == "U" else array
            for name, array in ((name, archive[name]) for name in archive.files)
        }


def _add_ranks(quantizable: Quantizable, folder: Path) -> None:
    """Add the element type and the rank of each value that lacks them, such as those after an operator of ai.onnx.ml.

    The tools need them. They are taken from a run, because neither onnx nor ONNX Runtime states the rank of each value.
    """
    model = onnx.load(quantizable.path)
    graph = model.graph
    known = {each.name for each in (*graph.value_info, *graph.input, *graph.output) if _has_rank(each)}
    names = [name for node in graph.node for name in node.output if name and name not in known]
    if not names:
        return
    try:
        computed = _computed(quantizable, names, folder / "all-values.onnx")
    except ScalezeroError:
        return  # the tools say what they lack
    outputs = {each.name for each in graph.output}
    kept = [each for each in graph.value_info if each.name in known]
    del graph.value_info[:]
    graph.value_info.extend(kept)
    graph.value_info.extend(
        _value_info(name, computed[name]) for name in names if name in computed and name not in outputs
    )
    onnx.save(model, quantizable.path)


def _computed(quantizable: Quantizable, names: Sequence[str], path: Path) -> dict[str, np.ndarray]:
    """Return the values of these names in a run on the first row, and the outputs. Raises as `Session`.

    A file with all of them as outputs is written to `path`, and deleted.
    """
    model = onnx.load(quantizable.path)
    outputs = {each.name for each in model.graph.output}
    del model.graph.value_info[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in outputs)
    onnx.save(model, path)
    try:
        session = Session(path, uri=str(path), name=path.stem, threads=1)
        feed = next(quantizable.feeds())
        values = session.run([feed[spec.name] for spec in session.signature.inputs])
        return dict(zip((spec.name for spec in session.signature.outputs), values, strict=True))
    finally:
        path.unlink()


def _has_rank(value: onnx.ValueInfoProto) -> bool:
    kind = value.type.WhichOneof("value")
    return kind not in {None, "tensor_type"} or value.type.tensor_type.HasField("shape")


def _value_info(name: str, array: np.ndarray) -> onnx.ValueInfoProto:
    element = TensorProto.STRING if array.dtype.kind == "O" else helper.np_dtype_to_tensor_dtype(array.dtype)
    return helper.make_tensor_value_info(name, element, [None] * array.ndim)


def has_attention(model: onnx.ModelProto) -> bool:
    """Return whether the graph computes attention: a MatMul of a Softmax, or one of ONNX Runtime's fused operators."""
    weighted: set[str] = set()
    for node in model.graph.node:
        if node.op_type in _ATTENTION or (node.op_type == "MatMul" and weighted & set(node.input)):
            return True
        if node.op_type == "Softmax" or (node.op_type in _PASSING and weighted & set(node.input)):
            weighted.update(node.output)
    return False
