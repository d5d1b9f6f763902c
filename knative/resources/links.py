"""Which model an InferenceConfig or a ModelOptimization belongs to.

The rule: it belongs to the model that its `spec.modelName` names. Where it names none, it belongs to the model whose
name is the longest prefix of its own that is followed by a dash. payment-model-config belongs to payment-model; with a
model payment-model-eu beside it, payment-model-eu-config belongs to that one, unless its modelName says otherwise.

A `modelName` must be the name of a model whose ModelVersion is read along with it. Only where no ModelVersion is read
at all, as from a file that holds a config alone, there is nothing to compare it with.
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


def names_unknown(resource: Linked, models: Collection[str]) -> bool:
    """Tell whether the resource names a model that is not among those read."""
    return bool(models) and resource.spec.model_name is not None and resource.spec.model_name not in models
