"""ModelOptimization: whether a faster variant of a model may be served, and how much accuracy it may cost."""

from pathlib import Path
from typing import Annotated, Final, Literal

from msgspec import Meta

from knative.resources.fields import Metadata, Name, Part, rendered_default
from runtime.variants.bounds import Bounds

_S3: Final = "s3://"
DataSource = Annotated[
    str,
    Meta(
        pattern=r"^(s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/[^\s/]\S*|[^:\n]+)\.npz\Z",
        max_length=4096,
        description="the .npz file of the data: a path from the folder of the manifest, or s3://bucket/key.npz",
    ),
]


class Quantization(Part, frozen=True, kw_only=True):
    """The variant that may be served. It is served only if it is measured to be faster and as accurate."""

    enabled: Annotated[bool, Meta(description="true or false")] = rendered_default(value=True)
    precision: Annotated[Literal["int8"], Meta(description="int8")] = rendered_default("int8")
    target: Annotated[Literal["cpu"], Meta(description="cpu")] = rendered_default("cpu")
    max_accuracy_loss: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="a number from 0 to 1: how much of the metric, or of the agreement with the original, may be "
            "lost",
        ),
    ] = Bounds().max_accuracy_loss
    min_speedup: Annotated[
        float,
        Meta(
            ge=1,
            le=1000,
            description="a number from 1 to 1000: how many times as fast as the original a variant must be",
        ),
    ] = Bounds().min_speedup
    calibration: DataSource | None = None  # None: what train.py returns
    evaluation: DataSource | None = None  # None: what train.py returns


class ModelOptimizationSpec(Part, frozen=True, kw_only=True):
    """The optimizations that are allowed."""

    model_name: Name | None = None  # without it, links.py finds the model
    quantization: Quantization = Quantization(enabled=False)


class ModelOptimization(Part, frozen=True, kw_only=True):
    """The allowed optimizations of one model. spec.modelName, or the prefix of metadata.name, names the model."""

    api_version: Annotated[Literal["ml.example.com/v1"], Meta(description="ml.example.com/v1")]
    kind: Annotated[Literal["ModelOptimization"], Meta(description="ModelOptimization")]
    metadata: Metadata
    spec: ModelOptimizationSpec = ModelOptimizationSpec()


def place_of(source: str, folder: Path) -> str:
    """Return the URI or the path of a data source; a relative path starts at `folder`, the manifest's folder."""
    return source if source.startswith(_S3) else str(folder / source)
