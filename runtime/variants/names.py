"""The names that the choice in the pod needs. The values of publishing would make its cold start some 10 ms longer."""

from typing import Final, Literal, TypeAlias

ORIGINAL: Final = "original"  # the name of the first variant: the artifact itself, on ONNX Runtime's CPU provider
CPU_PROVIDER: Final = "CPUExecutionProvider"
OPENVINO_PROVIDER: Final = "OpenVINOExecutionProvider"

RowsState: TypeAlias = Literal["proven", "refuted", "not_provable"]  # whether the rows of a request are independent
