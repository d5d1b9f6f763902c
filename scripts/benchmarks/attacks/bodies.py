"""Pure: request bodies just below the size limit, each expensive to read in a different way."""

import gzip
import zlib
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

GZIP_HEAD: Final = bytes([0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF])  # RFC 1952, 2.3: deflate, no name, no time
INFLATED: Final = 2**20  # bytes; the inflated size of each block of the gzip bomb


class Body(NamedTuple):
    """A request body and its Content-Encoding, if any."""

    data: bytes
    encoding: str | None = None


Make = Callable[[int, int], Body]  # arguments: numbers per row of the model, largest size in bytes


def filled(head: bytes, piece: bytes, tail: bytes, size: int) -> bytes:
    """Return head + pieces + tail, with as many pieces as fit into `size` bytes. Raises ValueError if none fits."""
    count = (size - len(head) - len(tail)) // len(piece)
    if count < 1:
        raise ValueError(f"{size} bytes are too few for a body; expected space for one piece of {len(piece)} bytes")
    return head + piece * count + tail


def plain(head: bytes, piece: bytes, tail: bytes) -> Make:
    """Return a maker of a body that does not depend on the model."""
    return lambda _width, size: Body(filled(head, piece, tail, size))


def row(numbers: Sequence[float]) -> bytes:
    """Return a JSON list without spaces."""
    return b"[" + b",".join(b"%g" % number for number in numbers) + b"]"


def rows(width: int, size: int) -> Body:
    """Return valid rows, but too many of them."""
    one = row([(index % 9 + 1) / 10 for index in range(width)])
    return Body(filled(b'{"inputs":[' + one, b"," + one, b"]}", size))


def integers(width: int, size: int) -> Body:
    """Return rows of integers. Only the last number of the last row is a fraction."""
    one, last = row([1] * width), row([*[1] * (width - 1), 1.5])
    return Body(filled(b'{"inputs":[' + one, b"," + one, b"," + last + b"]}", size))


def gzipped_rows(width: int, size: int) -> Body:
    """Return the rows compressed: a small body that inflates to the size limit."""
    return Body(gzip.compress(rows(width, size).data, compresslevel=1), "gzip")


def gzip_bomb(_width: int, size: int) -> Body:
    """Return a gzip stream that inflates to a thousand times its size. It has no end; no server should read so far."""
    deflating = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    block = deflating.compress(b" " * INFLATED) + deflating.flush(zlib.Z_FULL_FLUSH)  # the block can be repeated
    return Body(filled(GZIP_HEAD, block, b"", size), "gzip")


BODIES: Final[Mapping[str, Make]] = MappingProxyType(
    {
        "rows": rows,
        "integers": integers,
        "ragged": plain(b'{"inputs":[[1]', b",[1]", b",[1,1]]}"),
        "objects": plain(b'{"inputs":[{}', b",{}", b"]}"),
        "key": plain(b'{"', b"k", b'":1}'),
        "keys": plain(b'{"inputs":{"x":1', b',"x":1', b"}}"),
        "nested": plain(b'{"inputs":', b"[", b""),
        "string": plain(b'{"inputs":"', b"s", b'"}'),
        "digits": plain(b'{"inputs":[', b"1", b"]}"),
        "gzipped_rows": gzipped_rows,
        "gzip_bomb": gzip_bomb,
    }
)
