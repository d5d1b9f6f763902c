"""The kind of a WebAssembly binary, by its first eight bytes. Pure.

Sources: WebAssembly core specification, section 5.5.16 (magic and version); component model, Binary.md (layer 1).
"""

from enum import Enum
from typing import Final

HEADER_BYTES: Final = 8
_MAGIC: Final = b"\0asm"
_TEXT: Final = (b"(", b";;")  # the first characters of WebAssembly's text format


class Kind(Enum):
    """The two kinds of guests."""

    CORE = b"\x01\0\0\0"
    COMPONENT = b"\x0d\0\x01\0"


COMPONENT_HEADER: Final = _MAGIC + Kind.COMPONENT.value


def kind_of(head: bytes) -> Kind:
    """Return the kind of a binary from its first bytes. Raises `ValueError`, which says what the bytes are."""
    if head.lstrip().startswith(_TEXT):
        raise ValueError("it is WebAssembly's text format; expected a binary, which wat2wasm makes of it")
    if not head.startswith(_MAGIC):
        raise ValueError(f"it starts with {head[:4]!r}; expected the bytes \\0asm of a WebAssembly binary")
    try:
        return Kind(head[len(_MAGIC) : HEADER_BYTES])
    except ValueError:
        version = head[len(_MAGIC) : HEADER_BYTES].hex(" ")
        raise ValueError(f"its version is {version}; expected a core module (version 1) or a component") from None
