"""ModelOptimization: whether a smaller variant of a model may serve."""

from typing import Annotated, Literal

from msgspec import Meta

from knative.resources.fields import Metadata, Name, Part, shown_default


class Quantization(Part, frozen=True, kw_only=True):
    """The variant that may serve. It serves only where it is measured faster and as good."""

    enabled: Annotated[bool, Meta(description="true or false")] = shown_default(value=True)
    precision: Annotated[Literal["int8"], Meta(description="int8")] = shown_default("int8")
    target: Annotated[Literal["cpu"], Meta(description="cpu")] = shown_default("cpu")


class ModelOptimizationSpec(Part, frozen=True, kw_only=True):
    """What may be done to the model."""

    model_name: Name | None = None  # without it, links.py finds the model
    quantization: Quantization = Quantization(enabled=False)


class ModelOptimization(Part, frozen=True, kw_only=True):
    """What may be done to one model. It belongs to the model of its modelName, else to that of its own name."""

    api_version: Annotated[Literal["ml.example.com/v1"], Meta(description="ml.example.com/v1")]
    kind: Annotated[Literal["ModelOptimization"], Meta(description="ModelOptimization")]
    metadata: Metadata
    spec: ModelOptimizationSpec = ModelOptimizationSpec()
