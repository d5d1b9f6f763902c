"""Which model an InferenceConfig or a ModelOptimization belongs to.

The rule: it belongs to the model that its `spec.modelName` names. Where it names none, it belongs to the model whose
name is the longest prefix of its own that is followed by a dash. payment-model-config belongs to payment-model; with a
model payment-model-eu beside it, payment-model-eu-config belongs to that one, unless its modelName says otherwise.

The model must be one whose ModelVersion is read with it: a typing error would otherwise drop the resource. If no
ModelVersion is read at all, as from a file with a config alone, there is nothing to compare it with.
"""

from collections.abc import Collection, Iterable

from knative.resources.inference_config import InferenceConfig
from knative.resources.model_optimization import ModelOptimization

Linked = InferenceConfig | ModelOptimization


def model_of(resource: Linked, models: Iterable[str]) -> str | None:
    """Find the model that the resource belongs to, or None."""
    return resource.spec.model_name or owner(resource.metadata.name, models)


def owner(name: str, models: Iterable[str]) -> str | None:
    """Find the model that a resource of this name belongs to where it names none, or None."""
    return max((model for model in models if name.startswith(f"{model}-")), key=len, default=None)


def belongs_to_none(resource: Linked, models: Collection[str]) -> bool:
    """Whether no model that was read is the resource's."""
    return bool(models) and model_of(resource, models) not in models
