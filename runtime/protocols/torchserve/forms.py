"""The values of a request: its body, or the parts or fields of a form. Pure.

    multipart/form-data                   a value for each part, a view of the body
    application/x-www-form-urlencoded     a value for each field
    any other content type                one value named `body`: the body

Sources: RFC 7578 (multipart/form-data); WHATWG URL, application/x-www-form-urlencoded.
"""

from collections.abc import Generator
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from runtime.errors import InvalidInput, PayloadTooLarge
from runtime.http.messages import Request
from runtime.protocols.torchserve.values import OCTETS, Part

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

BODY: Final = "body"
FIELDS: Final = b"application/x-www-form-urlencoded"
MULTIPART: Final = b"multipart/form-data"
_MAX_PARTS: Final = 256  # parts or fields: more inputs than any model has
_MAX_FIELD_BYTES: Final = 64 * 1024  # of all fields, which are decoded at once
_STEP: Final = 16 * 1024  # bytes of a multipart body that are parsed in one step: 10 ms if they are all headers
_MAX_HEADERS: Final = 16  # of a part
_MAX_HEADER_BYTES: Final = 2048  # of a header of a part
_FORM: Final = "multipart/form-data, closed by its boundary"
_SHOWN_CHARS: Final = 80  # of a text in an error message


def parts(request: Request) -> Generator[None, None, list[Part]]:
    """Return the values before they are parsed, at least one.

    Raises `InvalidInput` for an invalid or empty form, and `PayloadTooLarge` beyond 256 parts or 64 KiB of fields.
    """
    stated = request.header(b"content-type") or b""
    kind = stated.partition(b";")[0].strip().lower()
    if kind == MULTIPART:
        found = yield from _multipart(stated, memoryview(request.body))
    elif kind == FIELDS:
        found = _fields(request.body)
    else:
        return [Part(BODY, memoryview(request.body), kind, octets=kind == OCTETS)]
    if not found:
        raise InvalidInput(BODY, got="a form without a field", expected="a field named data, or one for each input")
    return found


def _fields(body: bytes) -> list[Part]:
    if len(body) > _MAX_FIELD_BYTES:
        raise PayloadTooLarge("form fields", limit=_MAX_FIELD_BYTES, unit="bytes", got=len(body))
    try:
        text = body.decode("latin-1")  # keeps every byte; `_bytes` reverses it
        pairs = parse_qsl(text, keep_blank_values=True, encoding="latin-1", max_num_fields=_MAX_PARTS)
    except ValueError:
        raise PayloadTooLarge("form fields", limit=_MAX_PARTS, unit="fields") from None
    if len(pairs) == 1 and not pairs[0][1]:  # `curl -d JSON` sends this content type
        expected = "name=value; to send JSON, add the header Content-Type: application/json"
        raise InvalidInput(BODY, got="a form with one name and no value", expected=expected)
    return [Part(_name(_bytes(name)), memoryview(_bytes(value)), text=True) for name, value in pairs]


def _multipart(stated: bytes, body: memoryview) -> Generator[None, None, list[Part]]:
    from python_multipart.exceptions import FormParserError
    from python_multipart.multipart import MultipartParser, parse_options_header

    boundary = parse_options_header(stated)[1].get(b"boundary")
    if not boundary:
        raise InvalidInput("Content-Type", got="multipart/form-data without a boundary", expected="boundary=...")
    reader = _Reader(body)
    try:
        parser = MultipartParser(
            boundary, reader.callbacks(), max_header_count=_MAX_HEADERS, max_header_size=_MAX_HEADER_BYTES
        )
        for start in range(0, len(body), _STEP):
            reader.start, reader.chunk = start, bytes(body[start : start + _STEP])
            parser.write(reader.chunk)
            yield
    except FormParserError as error:
        raise InvalidInput(BODY, got=f"an invalid form ({str(error)[:_SHOWN_CHARS]})", expected=_FORM) from None
    if not reader.ended:
        raise InvalidInput(BODY, got="an incomplete form", expected=_FORM)
    return reader.parts


class _Reader:
    """Collects the parts of a form from the parser's callbacks: headers, the place of the data, the end."""

    def __init__(self, body: memoryview) -> None:
        self.parts: list[Part] = []
        self.chunk = b""  # the bytes that the parser gets
        self.start = 0  # the offset of the chunk in the body
        self.ended = False
        self._name = self._value = b""
        self._headers: dict[bytes, bytes] = {}
        self._body = body
        self._at: int | None = None  # the offset of the part's data in the body, once it is known
        self._length = 0
        self._pieces: list[bytes] = []  # the data until then

    def callbacks(self) -> "MultipartCallbacks":
        """Return the callbacks by the parser's names for them."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._header_name,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_end": self._ended,
        }

    def _begin(self) -> None:
        if len(self.parts) == _MAX_PARTS:
            raise PayloadTooLarge("multipart form", limit=_MAX_PARTS, unit="parts")
        self._headers, self._pieces = {}, []
        self._at, self._length = None, 0

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._length += end - start
        if self._at is not None:
            return
        if data is self.chunk:
            self._at = self.start + end - self._length
        else:  # bytes at the end of a chunk that could have been the start of a boundary
            self._pieces.append(data[start:end])

    def _end(self) -> None:
        from python_multipart.multipart import parse_options_header

        options = parse_options_header(self._headers.get(b"content-disposition"))[1]
        if b"name" not in options:
            raise InvalidInput(BODY, got="a part without a name", expected='Content-Disposition: form-data; name="..."')
        kind = self._headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        at = self._at
        data = memoryview(b"".join(self._pieces)) if at is None else self._body[at : at + self._length]
        text = b"filename" not in options and not kind
        self.parts.append(Part(_name(options[b"name"]), data, kind, text=text))

    def _ended(self) -> None:
        self.ended = True


def _bytes(text: str) -> bytes:
    return text.encode("latin-1")


def _name(name: bytes) -> str:
    return name.decode(errors="backslashreplace")
