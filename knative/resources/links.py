"""Which model a resource belongs to, where its owner names no link.

The rule: an InferenceConfig or a ModelOptimization belongs to the model whose name is the longest prefix of its own
that is followed by a dash. payment-model-config belongs to payment-model; with a model payment-model-eu beside it,
payment-model-eu-config belongs to that one.
"""

from collections.abc import Iterable


def owner(name: str, models: Iterable[str]) -> str | None:
    """Find the model that the resource of this name belongs to, or None."""
    return max((model for model in models if name.startswith(f"{model}-")), key=len, default=None)
