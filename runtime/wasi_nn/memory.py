"""The linear memory of a guest, as its calls see it. Every access is checked against the size that it has then.

A pointer of a guest is a number that it can make up. One to outside of the memory is an error of the ABI, not of the
host.
"""

import ctypes
from typing import TYPE_CHECKING, Final

from runtime.wasi_nn.faults import Code, NnError

if TYPE_CHECKING:
    from wasmtime import Caller

_EXPORT: Final = "memory"  # the name that every toolchain uses
_BITS: Final = 0xFFFF_FFFF


class GuestMemory:
    """The memory of the guest during one call."""

    __slots__ = ("_caller", "_memory")

    def __init__(self, caller: "Caller") -> None:
        """Find the memory that the guest exports. Raises `NnError` (missing-memory) if there is none."""
        from wasmtime import Memory

        memory = caller.get(_EXPORT)
        if not isinstance(memory, Memory):
            raise NnError(Code.MISSING_MEMORY, f"the guest exports no memory under the name {_EXPORT!r}")
        self._caller = caller
        self._memory = memory

    def read(self, pointer: int, size: int, *, what: str) -> bytes:
        """Return a copy of `size` bytes. Raises `NnError` (invalid-argument) if they are not all in the memory."""
        self.check(pointer, size, what=what)
        return ctypes.string_at(self._address() + pointer, size) if size else b""

    def write(self, pointer: int, data: bytes, *, what: str) -> None:
        """Write the bytes. Raises `NnError` (invalid-argument) if they do not fit in the memory."""
        self.check(pointer, len(data), what=what)
        if data:
            ctypes.memmove(self._address() + pointer, data, len(data))

    def check(self, pointer: int, size: int, *, what: str) -> None:
        """Raise `NnError` (invalid-argument) if the bytes are not all in the memory."""
        length = self._memory.data_len(self._caller)
        if pointer + size > length:
            got = f"{what}: got {size} bytes at {pointer}"
            raise NnError(Code.INVALID_ARGUMENT, f"{got}; expected a place in the guest's memory of {length} bytes")

    def _address(self) -> int:
        """Return where the memory is in this process, until the guest runs on. An empty memory has no address."""
        return ctypes.addressof(self._memory.data_ptr(self._caller).contents)


def unsigned(number: int) -> int:
    """Return an i32 of WebAssembly, which Python gets with a sign, as a pointer, length or handle."""
    return number & _BITS
