"""Properties of a model's runs, from its operators: whether callers may share one, and what its cost depends on. Pure.

Source: the operators' definitions, https://onnx.ai/onnx/operators/.
"""

from typing import Final

from runtime.model.graph import GraphFacts, Operator

_SIZE_FROM_DATA: Final = "the size of its output depends on the data"
_WHOLE_TENSOR: Final = "it computes its parameters from all rows of a run"
_BRANCH: Final = "the choice of its branch may depend on all rows of a run"
_UNTIL_ALL: Final = "it continues until all rows of a run are done"

_REASONS: Final = {
    **dict.fromkeys(("Compress", "NonMaxSuppression", "NonZero", "StringNormalizer", "Unique"), _SIZE_FROM_DATA),
    **dict.fromkeys(("DynamicQuantizeLinear", "StringSplit"), _WHOLE_TENSOR),
    **dict.fromkeys(("DynamicQuantizeLSTM", "DynamicQuantizeMatMul"), _WHOLE_TENSOR),  # of com.microsoft, as below
    **dict.fromkeys(("BeamSearch", "GreedySearch", "Sampling", "WhisperBeamSearch"), _UNTIL_ALL),
    "If": _BRANCH,
    "Loop": _UNTIL_ALL,
}

_KNOWN_DOMAINS: Final = {"", "ai.onnx.ml"}
# The size of their output is the value of a later input, which does not matter if that input is a constant.
_SIZED_BY_PARAMETER: Final = {
    *("AffineGrid", "CenterCropPad", "DFT", "Expand", "MaxUnpool", "MelWeightMatrix", "OneHot", "Pad", "Resize"),
    *("STFT", "Tile", "Upsample"),
}
# Their cost depends on the content of the first input: a count, or strings of any length.
_COST_FROM_VALUES: Final = {
    *("BlackmanWindow", "ConstantOfShape", "HammingWindow", "HannWindow", "Range"),
    *("If", "Loop", "NonMaxSuppression", "Scan", "SequenceMap"),
    *("RegexFullMatch", "StringConcat", "StringNormalizer", "StringSplit", "TfIdfVectorizer"),
}


def reason_against_sharing(facts: GraphFacts) -> str | None:
    """Return why rows of several callers must not share a run; None: no operator rules it out."""
    for operator in sorted(facts.operators):
        if operator.name in _REASONS:
            return f"operator {operator}: {_REASONS[operator.name]}"
    return None


def costs_by_shape(facts: GraphFacts) -> bool:
    """Return whether the cost of a run depends only on the shapes of the inputs; False for an unknown graph."""
    return facts.known and not any(
        _unknown(use.operator, facts)
        or use.operator.name in _COST_FROM_VALUES
        or (use.operator.name in _SIZED_BY_PARAMETER and not use.static_parameters)
        for use in facts.uses
    )


def _unknown(operator: Operator, facts: GraphFacts) -> bool:
    return operator.domain not in _KNOWN_DOMAINS and operator not in facts.functions
