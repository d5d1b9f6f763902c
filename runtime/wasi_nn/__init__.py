"""The host of WASI-NN: WebAssembly guests ask for inference, and the models of this process answer.

    guest ──► ABI: witx (core modules) | WIT (components) ──► session (handles, checks) ──► backend ──► service

Only the ABIs import wasmtime (the extra `scalezero[wasm]`), in the functions that need it.
"""

from runtime.wasi_nn.session import Limits, NnSession
from runtime.wasi_nn.witx import add_to_linker

__all__ = ["Limits", "NnSession", "add_to_linker"]
