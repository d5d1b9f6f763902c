"""Variants and assessments as a manifest records them."""

from collections.abc import Mapping

from runtime.variants.values import (
    CPU_PROVIDER,
    ORIGINAL,
    Assessment,
    PreparedForm,
    RowsProof,
    StoredFile,
    Variant,
)
from tests.assessments import timed

URI = "s3://models/m.onnx"
DIGEST = "a" * 64


def variant(name: str, *, prepared: int = 0, files: int = 0, reason: str = "") -> Variant:
    uri = URI if name == ORIGINAL else f"{URI}.variants/{name}.onnx"
    return Variant(
        name=name,
        provider=CPU_PROVIDER,
        precision="float32",
        uri=uri,
        sha256=DIGEST,
        size=3,
        files=tuple(StoredFile(uri=f"{uri}.{n}", sha256=DIGEST, size=n) for n in range(files)),
        prepared=tuple(PreparedForm(uri=f"{uri}.{n}.prepared", sha256=DIGEST, size=n) for n in range(prepared)),
        rows=RowsProof(state="proven", reason=reason) if reason else None,
    )


def assessment(cpu_class: str, seconds: Mapping[str, float], *, chosen: str, at: str = "2026-01-01") -> Assessment:
    """Return an assessment in which each variant takes these seconds for a row."""
    return timed(seconds, chosen=chosen, cpu_class=cpu_class, measured_at=at)
