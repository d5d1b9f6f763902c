"""The manifest of a published model. Values only; `manifest_json` renders and parses them.

    s3://models/payment-model-v1.onnx                  the artifact
    s3://models/payment-model-v1.onnx.manifest.json    its manifest

The key is the artifact's key with a suffix. So the manifest of an artifact is found without a search, a listing finds
all manifests by their suffix, and the permissions and copies of a prefix cover both. The manifest is written
last and never changes, so a model with a manifest is complete. docs/registry.md describes the fields.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from runtime.variants.values import Assessment, StoredFile, Variant

Format: TypeAlias = Literal["onnx", "ort", "archive"]  # ONNX, ONNX Runtime's format, or TorchServe's archive


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One input or output."""

    name: str
    dtype: str  # NumPy's name, or "string"; in its containers, such as "sequence(map(int64, float32))"
    shape: tuple[int | str | None, ...] | None  # None: the rank is not stated; an axis: size, name, or None


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a model came from."""

    published_at: str  # RFC 3339, UTC
    published_by: str  # user@host, or the URL of the CI run
    source: str  # name of the published file
    packages: Mapping[str, str] = field(default_factory=dict)  # version by package


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A published version of a model."""

    name: str
    version: str
    uri: str
    sha256: str
    size: int  # bytes, without external data
    files: tuple[StoredFile, ...] = ()  # the external data
    format: Format
    ir_version: int | None = None
    opset: int | None = None  # version of the standard's operators
    domains: Mapping[str, int] = field(default_factory=dict)  # version by operator set
    producer: str = ""
    producer_version: str = ""
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    metrics: Mapping[str, float] = field(default_factory=dict)  # of the training, on held-out data
    provenance: Provenance
    variants: tuple[Variant, ...]
    assessment: Assessment | None = None  # of the publisher's CPU class; those of other classes are objects beside it

    @property
    def title(self) -> str:
        """The name and the version, as commands accept them."""
        return f"{self.name}:{self.version}"

    @property
    def objects(self) -> tuple[StoredFile, ...]:
        """All objects, each once; those of the original are last, and its model file is the very last."""
        own = (*self.files, StoredFile(uri=self.uri, sha256=self.sha256, size=self.size))
        names = {each.uri for each in own}
        others = {each.uri: each for variant in self.variants for each in variant.objects if each.uri not in names}
        return (*others.values(), *own)
