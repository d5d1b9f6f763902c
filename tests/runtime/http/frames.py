"""HTTP/2 frames as bytes, because HTTP/2 libraries do not send invalid ones. Source: RFC 9113, 4.1 and 6."""

from typing import Final

DATA: Final = 0
HEADERS: Final = 1
PRIORITY: Final = 2
RST_STREAM: Final = 3
SETTINGS: Final = 4
PING: Final = 6
WINDOW_UPDATE: Final = 8
CONTINUATION: Final = 9
PRIORITY_UPDATE: Final = 16  # RFC 9218, 7.1

ACK: Final = 1
END_STREAM: Final = 1
END_HEADERS: Final = 4


def frame(kind: int, payload: bytes = b"", *, flags: int = 0, stream: int = 0) -> bytes:
    """Return one frame."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def ask(path: str, *, stream: int, flags: int = END_HEADERS | END_STREAM) -> bytes:
    """Return a POST in one HEADERS frame that does not use HPACK's dynamic table: RFC 7541, 6.2.2 and appendix A."""
    block = b"\x83\x86" + b"\x04" + bytes([len(path)]) + path.encode() + b"\x01\x01x"
    return frame(HEADERS, block, flags=flags, stream=stream)


PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS)
