"""The methods that make an int8 file. They run in the worker; each imports its library itself.

int8-dynamic        ONNX Runtime: int8 weights; activations are quantized in each run, with a scale of the whole run
int8-static-u8s8    ONNX Runtime: QDQ, uint8 activations with ranges of the calibration data, int8 weights per channel
int8-static-s8s8    the same with int8 activations, symmetric around 0
int8-nncf           NNCF's post-training quantization, with the preset for transformers if the graph has attention
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import numpy as np
import onnx

from runtime.optimizing.accuracy import agreement
from runtime.optimizing.candidates import Method
from runtime.optimizing.quantizable import Quantizable, has_attention

# Operators whose speed depends on int8. Others, quantized alone, cost conversions and accuracy. ONNX Runtime's dynamic
# convolution is slower than fp32.
_DYNAMIC: Final = ("Attention", "EmbedLayerNormalization", "Gather", "Gemm", "LSTM", "MatMul")
_STATIC: Final = ("Conv", "Gemm", "MatMul")
# Between convolutions values stay int8, which saves the conversions: ResNet-50 is 1.8 instead of 1.3 x as fast. Softmax
# is left out, because the probability of one class of a thousand is less than a step of int8.
_BETWEEN: Final = (
    "Add",
    "AveragePool",
    "Clip",
    "Concat",
    "GlobalAveragePool",
    "LeakyRelu",
    "MaxPool",
    "Relu",
    "Resize",
)
_RESULTS: Final = {
    *("DequantizeLinear", "DynamicQuantizeLinear", "DynamicQuantizeLSTM", "DynamicQuantizeMatMul", "MatMulInteger"),
    *("QAttention", "QLinearConv", "QLinearMatMul", "QuantizeLinear"),
}
_NO_CALIBRATION: Final = "there is no calibration data, from which this method takes the ranges of the activations"


class Options(NamedTuple):
    """How a file is made."""

    calibrated: bool  # whether the rows are calibration data
    may_saturate: bool  # whether sums of int8 products may saturate on this CPU


def make(method: Method, source: Quantizable, path: Path, options: Options) -> None:
    """Write the file of one method. Raises ValueError with a reason, or an exception of the library."""
    if method != "int8-dynamic" and not options.calibrated:
        raise ValueError(_NO_CALIBRATION)
    if options.may_saturate:
        _make_better(method, source, path)
    else:
        _MAKERS[method](source, path, narrow_weights=False)
    _check_result(path)


def _make_better(method: Method, source: Quantizable, path: Path) -> None:
    """Make the file with weights of 8 bits and of 7 bits, and keep the one whose outputs are nearer to the model's.

    Sums of 8 bits by 8 bits may saturate on this CPU, which depends on the values: a perceptron had eight times the
    error of 7 bits, another one two thirds of it.
    """
    files = {narrow: path.with_suffix(f".{'narrow' if narrow else 'full'}.onnx") for narrow in (False, True)}
    expected = source.outputs(source.path)
    scores = {}
    for narrow, file in files.items():
        _MAKERS[method](source, file, narrow_weights=narrow)
        scores[narrow] = agreement(expected, source.outputs(file))
    files.pop(scores[True] > scores[False]).replace(path)
    for other in files.values():
        other.unlink()


def _check_result(path: Path) -> None:
    kinds = {node.op_type for node in onnx.load(path, load_external_data=False).graph.node}
    if not kinds & _RESULTS:
        raise ValueError(f"the model has no operator that this method quantizes, only {', '.join(sorted(kinds))}")


class _Maker(Protocol):
    def __call__(self, source: Quantizable, path: Path, *, narrow_weights: bool) -> None: ...


def _dynamic(source: Quantizable, path: Path, *, narrow_weights: bool) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        source.path,
        path,
        op_types_to_quantize=list(_DYNAMIC),
        per_channel=True,
        reduce_range=narrow_weights,
        weight_type=QuantType.QInt8,
    )


def _static(activations: str) -> _Maker:
    def make_static(source: Quantizable, path: Path, *, narrow_weights: bool) -> None:
        from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

        class Reader(CalibrationDataReader):  # type: ignore[misc] # it has no types
            def __init__(self) -> None:
                self._feeds = source.feeds()

            def get_next(self) -> dict[str, np.ndarray] | None:
                return next(self._feeds, None)

        quantize_static(
            source.path,
            path,
            Reader(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(_static_operators(source)),
            per_channel=True,
            reduce_range=narrow_weights,
            activation_type=QuantType[activations],
            weight_type=QuantType.QInt8,
            extra_options={"ActivationSymmetric": activations == "QInt8", "MatMulConstBOnly": True},
        )

    return make_static


def _static_operators(source: Quantizable) -> tuple[str, ...]:
    model = onnx.load(source.path, load_external_data=False)
    return (*_STATIC, *_BETWEEN) if _has_convolution(model) else _STATIC


def _has_convolution(model: onnx.ModelProto) -> bool:
    return any(node.op_type == "Conv" for node in model.graph.node)


def _nncf(source: Quantizable, path: Path, *, narrow_weights: bool) -> None:
    import nncf
    from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters, OverflowFix
    from nncf.quantization.range_estimator import RangeEstimatorParameters, RangeEstimatorParametersSet

    nncf.set_log_level(logging.ERROR)
    model = onnx.load(source.path)
    rows = list(source.feeds())
    # NNCF's default is the mean of the largest value of each row. That fits images, which have many values in a row. Of
    # a row with few, it cuts off the largest: a perceptron has ten times the error.
    ranges = RangeEstimatorParameters() if _has_convolution(model) else RangeEstimatorParametersSet.MINMAX
    quantized = nncf.quantize(
        model,
        nncf.Dataset(rows),
        subset_size=len(rows),
        model_type=nncf.ModelType.TRANSFORMER if has_attention(model) else None,
        advanced_parameters=AdvancedQuantizationParameters(
            overflow_fix=OverflowFix.ENABLE if narrow_weights else OverflowFix.DISABLE,
            activations_range_estimator_params=ranges,
        ),
    )
    onnx.save(quantized, path)


_MAKERS: Final[Mapping[Method, _Maker]] = {
    "int8-dynamic": _dynamic,
    "int8-static-u8s8": _static("QUInt8"),
    "int8-static-s8s8": _static("QInt8"),
    "int8-nncf": _nncf,
}
