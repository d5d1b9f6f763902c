"""A model file: its graph, its signature, and the session that runs it.

ONNX Runtime reads this variable when it is imported. Without it, it writes a device id and sends telemetry.
"""

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
