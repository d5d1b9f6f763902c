"""The compiled code of a guest, as JSON in SCALEZERO_GUEST_CODE. Pure.

    registry ──► GuestCode ... ──► render_code ──► the pod's environment ──► parse_code

Compiled code is machine code, so a process loads only code whose digest is stated here.

    [{"compiler": "wasmtime-50.0.1-1", "cpu": "intel-avx2", "kind": "core", "uri": "s3://...", "sha256": "9f86..."}]

Unknown fields are ignored, so an older image starts with the JSON of a newer command line.
"""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

ALLOWED: Final = "the JSON that `scalezero deploy` renders: a list of objects with compiler, cpu, kind, uri and sha256"
KINDS: Final = ("core", "component")


class GuestCode(NamedTuple):
    """The code of a guest for one compiler and CPU class."""

    compiler: str  # wasmtime's version and configuration
    cpu: str  # the CPU class
    kind: str  # one of `KINDS`
    uri: str
    sha256: str  # lower-case hex


class GuestCodes(tuple[GuestCode, ...]):
    """The codes of a guest. Their text is that of the setting."""

    __slots__ = ()

    def __str__(self) -> str:
        """Return the JSON."""
        return render_code(self)


def render_code(codes: Iterable[GuestCode]) -> str:
    """Return the JSON, without spaces."""
    import json

    return json.dumps([each._asdict() for each in codes], separators=(",", ":"), ensure_ascii=True)


def parse_code(text: str) -> GuestCodes:
    """Parse the JSON. Raises `ValueError` with the place of the field, its value and what is expected."""
    from runtime.variants.json_fields import list_of, loads

    return GuestCodes(list_of(_code)(loads(text), ""))


def _code(data: Any, at: str) -> GuestCode:  # noqa: ANN401 - a JSON value
    from runtime.variants.json_fields import digest, field, text, wrong

    kind = field(data, at, "kind", text)
    if kind not in KINDS:
        raise wrong(f"{at}.kind", kind, " or ".join(KINDS))
    texts = {name: field(data, at, name, text) for name in ("compiler", "cpu", "uri")}
    return GuestCode(**texts, kind=kind, sha256=field(data, at, "sha256", digest))
