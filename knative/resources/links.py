"""The rule for which model an InferenceConfig or a ModelOptimization belongs to.

The resource belongs to the model in its `spec.modelName`. Without a `spec.modelName`, it belongs to the model with the
longest name that, followed by a dash, is a prefix of the resource's own name. For example, payment-model-config belongs
to payment-model. If a model payment-model-eu also exists, payment-model-eu-config belongs to payment-model-eu.

A ModelVersion of the model must be read together with the resource; otherwise a typing error would silently disable the
resource. If no ModelVersion is read at all, as from a file with only an InferenceConfig, this is not checked.
"""

from collections.abc import Collection, Iterable

from knative.resources.inference_config import InferenceConfig
from knative.resources.model_optimization import ModelOptimization

Linked = InferenceConfig | ModelOptimization


def model_of(resource: Linked, models: Iterable[str]) -> str | None:
    """Return the name of the model that the resource belongs to, or None."""
    return resource.spec.model_name or model_of_name(resource.metadata.name, models)


def model_of_name(name: str, models: Iterable[str]) -> str | None:
    """Return the model that a resource without a `spec.modelName` belongs to by its own name, or None."""
    return max((model for model in models if name.startswith(f"{model}-")), key=len, default=None)


def has_no_model(resource: Linked, models: Collection[str]) -> bool:
    """Whether models were read, and the resource belongs to none of them."""
    return bool(models) and model_of(resource, models) not in models
