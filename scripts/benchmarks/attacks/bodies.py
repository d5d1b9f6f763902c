"""Pure: request bodies just below the size limit, each costly to read in its own way."""

import gzip
import zlib
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

GZIP_HEAD: Final = bytes([0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF])  # RFC 1952, 2.3: deflate, no name, no time
INFLATED: Final = 2**20  # bytes that each block of the bomb makes


class Body(NamedTuple):
    """What is sent, and its Content-Encoding, if any."""

    data: bytes
    encoding: str | None = None


Make = Callable[[int, int], Body]  # of the width of the model's rows and the largest size, in bytes


def filled(head: bytes, piece: bytes, tail: bytes, size: int) -> bytes:
    """The head, as many pieces as `size` bytes hold, the tail. Raises ValueError where not even one fits."""
    count = (size - len(head) - len(tail)) // len(piece)
    if count < 1:
        raise ValueError(f"{size} bytes are too few for a body; expected room for one piece of {len(piece)}")
    return head + piece * count + tail


def plain(head: bytes, piece: bytes, tail: bytes) -> Make:
    """A body that is the same for every model."""
    return lambda _width, size: Body(filled(head, piece, tail, size))


def row(numbers: Sequence[float]) -> bytes:
    """A JSON list without blanks."""
    return b"[" + b",".join(b"%g" % number for number in numbers) + b"]"


def rows(width: int, size: int) -> Body:
    """Rows as the model takes them: all is right but the number of them."""
    one = row([(index % 9 + 1) / 10 for index in range(width)])
    return Body(filled(b'{"inputs":[' + one, b"," + one, b"]}", size))


def integers(width: int, size: int) -> Body:
    """Whole numbers, row after row; only the last number of the last row is a fraction."""
    one, last = row([1] * width), row([*[1] * (width - 1), 1.5])
    return Body(filled(b'{"inputs":[' + one, b"," + one, b"," + last + b"]}", size))


def gzipped_rows(width: int, size: int) -> Body:
    """The same rows, compressed: a small body that is as large as the limit once it is inflated."""
    return Body(gzip.compress(rows(width, size).data, compresslevel=1), "gzip")


def gzip_bomb(_width: int, size: int) -> Body:
    """One gzip stream that inflates to a thousand times its size. It has no end: nobody should get so far."""
    deflating = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    block = deflating.compress(b" " * INFLATED) + deflating.flush(zlib.Z_FULL_FLUSH)  # may be repeated
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
