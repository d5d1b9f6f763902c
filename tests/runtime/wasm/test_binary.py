"""A guest's kind is that of its first eight bytes."""

import pytest

from runtime.wasm.binary import Kind, kind_of
from tests import guests


def test_the_kinds() -> None:
    assert kind_of(guests.binary(guests.ECHO)[:8]) is Kind.CORE
    assert kind_of(guests.binary(guests.COMPONENT_ECHO)[:8]) is Kind.COMPONENT


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (b"(module)", "it is WebAssembly's text format; expected a binary, which wat2wasm makes of it"),
        (b"\n;; a comment", "text format"),
        (b"\x7fELF\2\1\1\0", r"it starts with b'\\x7fELF'; expected the bytes"),
        (b"", "it starts with b''"),
        (b"\0asm\2\0\0\0", "its version is 02 00 00 00; expected a core module"),
        (b"\0asm", "its version is ; expected"),
    ],
)
def test_other_bytes_are_named(head: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        kind_of(head)
