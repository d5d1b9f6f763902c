"""Compiles a model for a plugin provider, so that a session on it opens faster: an ONNX file and one external file.

The result is valid for one version of the provider and one CPU class. It keeps the names, types and dynamic axes of the
inputs and outputs, the model's version, and the facts of its graph. Both files stay in one folder under their names.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import onnxruntime as ort

from runtime.errors import InvalidModel
from runtime.model import generating, plugin, providers
from runtime.model.comparing import NO_INPUT, difference, reference_of
from runtime.model.compiled import CPU_CLASS_KEY, read_compiled
from runtime.model.graph import read_facts
from runtime.model.header import read_version
from runtime.model.prepared import Note, append_note
from runtime.model.session import Session, reason_of, session_options
from runtime.protobuf import delimited, varint
from runtime.variants.cpu_class import cpu_class

_MODEL_VERSION, _METADATA = 5, 14  # of Model
_KEY, _VALUE = 1, 2  # of an entry of the metadata
_TOLERANCE: Final = 1e-3
_FLAGS: Final = ort.OrtCompileApiFlags.ERROR_IF_NO_NODES_COMPILED | ort.OrtCompileApiFlags.ERROR_IF_OUTPUT_FILE_EXISTS


class CompiledFiles(NamedTuple):
    """The files of a compiled model, and where it is valid."""

    model: Path
    files: tuple[Path, ...]  # the external files, in the folder of the model
    cpu_class: str
    provider_version: str | None  # None: unknown, so no pod can use it


def compile_model(
    path: Path,
    out: Path,
    *,
    uri: str,
    provider: str,
    threads: int,
    rows: Sequence[Sequence[np.ndarray]] = (),
) -> CompiledFiles:
    """Compile a model for this CPU, and write it to `out`, which must not exist, and to an external file beside it.

    `rows` are inputs to compare the outputs on, each with one array per input in the signature's order; generated
    inputs are compared too.

    Raises `InvalidModel` if the provider refuses the model or all of its nodes, if the outputs differ, or if the
    model rejects all inputs; and `ProviderUnavailable`.
    """
    options = plugin.options_for(path, uri=uri, provider=provider, options=session_options(threads))
    # The same optimizations as for a session on the provider come before it takes its nodes; the others come later.
    level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    try:
        ort.ModelCompiler(options, path, flags=_FLAGS, graph_optimization_level=level).compile_to_file(out)
    except Exception as error:  # onnxruntime's exceptions have no other common base class
        raise InvalidModel(uri, reason_of(error)) from error
    _append(out, version=read_version(path))
    append_note(out, Note(optimized_for=None, facts=read_facts(path)))
    found = read_compiled(out)
    files = tuple(out.parent / name for name in found.files) if found else ()
    model = Session(path, uri=uri, name=path.stem, threads=threads, provider=provider)
    made = Session(out, uri=uri, name=out.stem, threads=threads, provider=provider, prepared_form=True)
    if reason := reason_against(model, made, rows):
        raise InvalidModel(uri, reason)
    return CompiledFiles(out, files, cpu_class(), providers.version_of(provider))


def reason_against(model: Session, made: Session, rows: Sequence[Sequence[np.ndarray]]) -> str | None:
    """Return why the compiled model cannot be used instead of the model on the same provider; None: it can."""
    reference = reference_of(model, rows)
    if not reference.runs:
        return NO_INPUT
    differs = difference(reference, made, is_close)
    return differs and f"its compiled model {differs}"


def is_close(expected: np.ndarray, got: np.ndarray) -> bool:
    """Return whether two outputs are equal, floats up to a thousandth of the largest one: kernels may be others."""
    if expected.dtype.kind != "f" or expected.dtype != got.dtype or expected.shape != got.shape:
        return generating.same(expected, got)
    finite = np.abs(expected[np.isfinite(expected)])
    limit = _TOLERANCE * float(finite.max(initial=0.0))
    return bool(np.allclose(got, expected, rtol=0, atol=limit, equal_nan=True))


def _append(model: Path, *, version: int | None) -> None:
    """Add the CPU class, and the model's version, which the compiler drops. Fields may follow a message in protobuf."""
    stated = varint(_MODEL_VERSION << 3) + varint(version) if version else b""
    entry = delimited(_KEY, CPU_CLASS_KEY.encode()) + delimited(_VALUE, cpu_class().encode())
    with model.open("ab") as file:
        file.write(stated + delimited(_METADATA, entry))
