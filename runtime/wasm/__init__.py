"""Runs WebAssembly guests: one fresh instance for each call, within limits of time, memory and output.

    binary.py      pure: the kind of a guest (core module or component), by its first bytes
    engine.py      the engine of the process, its clock (epochs), and the key of compiled code
    code.py        compiles a guest; reads and writes compiled code
    files.py       stdin and stdout of a call, as anonymous files
    linking.py     what a guest may import: WASI, and the extensions of the host
    access.py      what a guest reaches outside of its instance: folders and the network
    granting.py    gives it that, and nothing else
    guest.py       Guest: checks a guest once, and runs its calls
    faults.py      wasmtime's exceptions -> errors
    limits.py      the limits of a call

Only this package configures wasmtime. A guest gets no files and no network, except what its `Access` states. Importing
this package does not import wasmtime.
"""

from runtime.wasm.access import Access
from runtime.wasm.limits import Limits

__all__ = ["Access", "Limits"]
