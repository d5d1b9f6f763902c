"""Published variants and their measurements, as a registry has them."""

from collections.abc import Mapping

from runtime.variants.values import (
    CPU_PROVIDER,
    OPENVINO_PROVIDER,
    ORIGINAL,
    Assessment,
    Cost,
    Measurement,
    PreparedForm,
    RowsProof,
    StoredFile,
    Variant,
)
from tests.assessments import assessment_of

URI = "s3://models/a.onnx"
SHA256 = "1" * 64  # of the original


def variant(
    name: str = ORIGINAL,
    *,
    uri: str = URI,
    sha256: str = SHA256,
    size: int = 1000,
    prepared: tuple[str, ...] = (),
    proven: bool = False,
) -> Variant:
    """Return a variant with one prepared form for each name in `prepared`."""
    place = uri if name == ORIGINAL else f"{uri}.variants/{name}/model.onnx"
    return Variant(
        name=name,
        provider=OPENVINO_PROVIDER if name.endswith("openvino") else CPU_PROVIDER,
        precision="int8" if name.startswith("int8") else "float32",
        uri=place,
        sha256=sha256,
        size=size,
        prepared=tuple(
            PreparedForm(
                uri=f"{uri}.variants/{name}.{each}/model.onnx",
                sha256="2" * 64,
                size=10,
                files=(StoredFile(uri=f"{uri}.variants/{name}.{each}/model.onnx.data", sha256="3" * 64, size=size),),
            )
            for each in prepared
        ),
        rows=RowsProof(state="proven", reason="64 rows of the evaluation data") if proven else None,
    )


def assessment(
    cpu_class: str,
    chosen: str,
    speedups: Mapping[str, float],
    *,
    loss: float = 0.001,
    metric: str | None = "auc",
    at: str = "2026-11-28T12:00:00Z",
) -> Assessment:
    """Return an assessment in which the original and the variants in `speedups` are usable."""
    return assessment_of(
        (
            Measurement(
                variant=name,
                provider=OPENVINO_PROVIDER if name.endswith("openvino") else CPU_PROVIDER,
                cost=Cost(fixed=0.001, per_row=0.001 / speedup),
                speedup=speedup,
                score=None if metric is None else 0.94 - loss,
                loss=None if metric is None else (0.0 if name == ORIGINAL else loss),
                rejected=None if name in {ORIGINAL, chosen} or speedup >= 1.1 else "it is slower",
            )
            for name, speedup in {ORIGINAL: 1.0, **speedups}.items()
        ),
        chosen=chosen,
        cpu_class=cpu_class,
        measured_at=at,
        batch_size=32,
        metric=metric,
        score=None if metric is None else 0.94,
        reason=f"{chosen} is the best",
    )
