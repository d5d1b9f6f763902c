"""The options of a session on a plugin provider, and the files that must not be opened on it.

Only a session on such a provider imports this module.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import InvalidModel
from runtime.model import compiled, providers
from runtime.model.strings import uses_strings
from runtime.variants.cpu_class import cpu_class
from runtime.variants.names import OPENVINO_PROVIDER

if TYPE_CHECKING:
    import onnxruntime as ort


def options_for(path: Path, *, uri: str, provider: str, options: "ort.SessionOptions") -> "ort.SessionOptions":
    """Add a plugin provider to the options of a session for this file, with as many threads as ONNX Runtime's pool.

    ONNX Runtime's CPU provider runs the nodes that the plugin does not take.

    Raises `ProviderUnavailable`, and `InvalidModel` for a compiled model of another version or CPU class, which the
    provider opens without a warning, and for a model that would end the process.
    """
    devices = providers.devices(provider)
    if reason := _refusal(path, provider, version=devices[0].ep_metadata.get("version", "")):
        raise InvalidModel(uri, reason)
    options.add_provider_for_devices(devices, provider_options(provider, options.intra_op_num_threads))
    return options


def provider_options(provider: str, threads: int) -> dict[str, str]:
    """Return the options of a plugin provider that runs on `threads` threads."""
    if provider != OPENVINO_PROVIDER:
        return {}
    cpu = {
        "INFERENCE_NUM_THREADS": str(threads),
        "NUM_STREAMS": "1",  # the batcher runs one batch at a time, and more streams would divide the threads
        "PERFORMANCE_HINT": "LATENCY",
        "ENABLE_CPU_PINNING": "NO",  # with pinning, all pods of a node would run on its first CPUs
    }
    return {"load_config": json.dumps({"CPU": cpu})}


def _refusal(path: Path, provider: str, *, version: str) -> str | None:
    try:
        found = compiled.read_compiled(path)
        if found is not None:
            return compiled.reason_against(found, provider=provider, version=version, cpu_class=cpu_class())
        return f"it computes with strings, which {provider} does not support" if uses_strings(path) else None
    except OSError:  # ONNX Runtime reports it
        return None
