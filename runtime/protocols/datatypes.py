"""The names of element types in the Open Inference Protocol, for all protocols that use them. Pure."""

from typing import Final

NAMES: Final = {  # by NumPy's name; BYTES has no equivalent in NumPy
    "bool": "BOOL",
    "float16": "FP16",
    "float32": "FP32",
    "float64": "FP64",
    "bfloat16": "BF16",
    **{f"{sign}int{bits}": f"{sign}int{bits}".upper() for sign in ("", "u") for bits in (8, 16, 32, 64)},
}
