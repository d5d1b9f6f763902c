"""What a graph's operators say of its runs: whether rows may share one, and whether shapes tell what one costs. Pure.

Source: the operators' definitions, https://onnx.ai/onnx/operators/.
"""

from typing import Final

from runtime.model.graph import GraphFacts, Operator

_SIZE_FROM_DATA: Final = "the size of its output depends on the data"
_WHOLE_TENSOR: Final = "it takes its parameters from all rows of a run"
_OTHER_WAY: Final = "which way it takes may depend on all rows of a run"
_UNTIL_ALL: Final = "it goes on until all rows of a run are done"

AGAINST_SHARING: Final = {
    **dict.fromkeys(("Compress", "NonMaxSuppression", "NonZero", "StringNormalizer", "Unique"), _SIZE_FROM_DATA),
    **dict.fromkeys(("DynamicQuantizeLinear", "StringSplit"), _WHOLE_TENSOR),
    **dict.fromkeys(("DynamicQuantizeLSTM", "DynamicQuantizeMatMul"), _WHOLE_TENSOR),  # of com.microsoft, as below
    **dict.fromkeys(("BeamSearch", "GreedySearch", "Sampling", "WhisperBeamSearch"), _UNTIL_ALL),
    "If": _OTHER_WAY,
    "Loop": _UNTIL_ALL,
}

_KNOWN_DOMAINS: Final = {"", "ai.onnx.ml"}
# The size of what they compute is the value of an input behind the first: no matter where that is a constant.
_SIZED_BY_PARAMETER: Final = {
    *("AffineGrid", "CenterCropPad", "DFT", "Expand", "MaxUnpool", "MelWeightMatrix", "OneHot", "Pad", "Resize"),
    *("STFT", "Tile", "Upsample"),
}
# What they cost depends on what the first input holds: a count, or strings of any length.
_COST_FROM_VALUES: Final = {
    *("BlackmanWindow", "ConstantOfShape", "HammingWindow", "HannWindow", "Range"),
    *("If", "Loop", "NonMaxSuppression", "Scan", "SequenceMap"),
    *("RegexFullMatch", "StringConcat", "StringNormalizer", "StringSplit", "TfIdfVectorizer"),
}


def against_sharing(facts: GraphFacts) -> str | None:
    """Why rows of several callers must not share a run; None if no operator rules it out."""
    for operator in sorted(facts.operators):
        if operator.name in AGAINST_SHARING:
            return f"operator {operator}: {AGAINST_SHARING[operator.name]}"
    return None


def costs_by_shape(facts: GraphFacts) -> bool:
    """Whether the shapes of the inputs tell what a run costs; False where the graph is not known."""
    return facts.known and not any(
        _unknown(use.operator, facts)
        or use.operator.name in _COST_FROM_VALUES
        or (use.operator.name in _SIZED_BY_PARAMETER and not use.static_parameters)
        for use in facts.uses
    )


def _unknown(operator: Operator, facts: GraphFacts) -> bool:
    return operator.domain not in _KNOWN_DOMAINS and operator not in facts.functions
