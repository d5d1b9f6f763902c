"""The content of a manifest: the facts of a model's file, read by opening it, and of its publication."""

import getpass
import math
import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, NamedTuple

from runtime.artifacts.uris import is_archive
from runtime.errors import InvalidModel
from runtime.model.header import ModelHeader, read_header
from runtime.published.manifest import Format, Manifest, Provenance, Value
from runtime.variants.provenance import installed_versions, timestamp
from runtime.variants.values import CPU_PROVIDER, ORIGINAL, StoredFile, Variant

if TYPE_CHECKING:
    from runtime.model.signature import Signature
    from runtime.tensors import TensorSpec  # imports NumPy, which looking up a model does not need

_PACKAGES: Final = ("scalezero", "onnx", "onnxruntime", "numpy")
# The URL of the run, by the CI system's variables: GitLab, Jenkins, and GitHub, whose URL has three parts.
_RUN_URLS: Final = ("CI_JOB_URL", "BUILD_URL")
_GITHUB: Final = ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")


class Description(NamedTuple):
    """The facts of a model's file, which do not depend on where it is published."""

    format: Format
    header: ModelHeader
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    name: str | None  # in an archive
    version: str  # in an archive or the model; "1" if there is none
    signature: "Signature"

    @property
    def precision(self) -> str | None:
        """The element type of the weights; without weights, that of the first floating-point input or output."""
        if self.header.weights or self.format == "ort":
            return self.header.weights
        types = (each.dtype for each in (*self.inputs, *self.outputs))
        return next((name for name in types if "float" in name and "(" not in name), None)


class Publication(NamedTuple):
    """What the publisher states about a model. None: use the name or version in the file."""

    name: str | None = None
    version: str | None = None
    metrics: Mapping[str, float] = {}  # on held-out data, by name
    source: str | None = None  # where the file came from; None: the name of the file


def describe(path: Path, *, name: str) -> Description:
    """Open the model or archive, which proves that it can be served, and read its facts.

    Raises `InvalidModel`, also for weights with NaN, and other `ModelUnavailable` errors.
    """
    from runtime.artifacts.fetch import fetch
    from runtime.model.session import Session
    from runtime.model.weights import weight_with_nan

    with TemporaryDirectory(prefix="scalezero-") as unpacked:  # for the files of an archive
        fetched = fetch(str(path), cache_dir=Path(unpacked))
        session = Session(fetched.path, uri=str(path), name=name, threads=1)
        if (diverged := weight_with_nan(fetched.path)) is not None:
            reason = f"its weight {diverged!r} contains NaN, so its answers would be NaN; train it again"
            raise InvalidModel(str(path), reason, weight=diverged)
        header = _header(fetched.path)
        return Description(
            format="archive" if is_archive(path.name) else "ort" if header.format == "ort" else "onnx",
            header=header,
            inputs=_values(session.signature.inputs),
            outputs=_values(session.signature.outputs),
            name=fetched.metadata.get("model_name"),
            version=fetched.metadata.get("version") or session.version,
            signature=session.signature,
        )


def manifest_of(
    description: Description,
    objects: Sequence[StoredFile],
    *,
    name: str,
    version: str,
    metrics: Mapping[str, float],
    provenance: Provenance,
) -> Manifest:
    """Return the manifest of a model with its original as the only variant. The model is the last of the objects."""
    *files, model = objects
    original = Variant(
        name=ORIGINAL,
        provider=CPU_PROVIDER,
        precision=description.precision,
        uri=model.uri,
        sha256=model.sha256,
        size=model.size,
        files=tuple(files),
    )
    header = description.header
    return Manifest(
        name=name,
        version=version,
        uri=model.uri,
        sha256=model.sha256,
        size=model.size,
        files=tuple(files),
        format=description.format,
        ir_version=header.ir_version,
        opset=header.opset,
        domains=header.domains,
        producer=header.producer,
        producer_version=header.producer_version,
        inputs=description.inputs,
        outputs=description.outputs,
        metrics={key: float(value) for key, value in metrics.items() if math.isfinite(value)},
        provenance=provenance,
        variants=(original,),
    )


def provenance_of(source: str, *, now: datetime, environ: Mapping[str, str] = os.environ) -> Provenance:
    """Return when and by whom a file is published, and with which packages."""
    return Provenance(
        published_at=timestamp(now),
        published_by=publisher(environ),
        source=source,
        packages=installed_versions(_PACKAGES),
    )


def publisher(environ: Mapping[str, str]) -> str:
    """Return the URL of the CI run if there is one, else user@host."""
    if all(environ.get(name) for name in _GITHUB):
        server, repository, run = (environ[name] for name in _GITHUB)
        return f"{server}/{repository}/actions/runs/{run}"
    url = next((found for name in _RUN_URLS if (found := environ.get(name))), None)
    return url or f"{_user()}@{socket.gethostname()}"


def _user() -> str:
    with suppress(KeyError, OSError):  # a container's user may have no name
        return getpass.getuser()
    return str(os.getuid())


def _header(path: Path) -> ModelHeader:
    """Read the header of a file that ONNX Runtime has opened, so it is valid; its own reader may accept more."""
    try:
        return read_header(path)
    except ValueError:
        return ModelHeader("onnx")


def _values(specs: "Sequence[TensorSpec]") -> tuple[Value, ...]:
    return tuple(_value(spec) for spec in specs)


def _value(spec: "TensorSpec") -> Value:
    return Value(name=spec.name, dtype=spec.datatype, shape=spec.shape)
