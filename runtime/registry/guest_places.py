"""Where the compiled code of a guest is published. Pure.

GUEST                                  the guest, whose name usually ends with .wasm
GUEST.code/COMPILER/CPU/KIND.cwasm     its compiled code for one version of wasmtime and one CPU class
"""

import re
from typing import Final, NamedTuple

from runtime.configuration.guest_code import KINDS

SUFFIX: Final = ".wasm"
_CODE: Final = ".code/"
_PLACE: Final = re.compile(
    rf"(?P<guest>.+){re.escape(_CODE)}(?P<compiler>[^/]+)/(?P<cpu>[^/]+)/(?P<kind>{'|'.join(KINDS)})\.cwasm"
)


class CodePlace(NamedTuple):
    """What the URI of a compiled code says."""

    guest: str  # the URI of the guest
    compiler: str  # wasmtime's version and configuration
    cpu: str  # the CPU class
    kind: str  # one of `KINDS`


def has_guest_name(uri: str) -> bool:
    """Whether the name of an object is that of a guest. A guest may have another name."""
    return uri.lower().endswith(SUFFIX)


def code_folder(uri: str) -> str:
    """Return the folder of the compiled code of the guest at a URI."""
    return uri + _CODE


def code_uri(uri: str, *, compiler: str, cpu: str, kind: str) -> str:
    """Return the URI of a compiled code of the guest at a URI."""
    return f"{code_folder(uri)}{compiler}/{cpu}/{kind}.cwasm"


def place_of(uri: str) -> CodePlace | None:
    """Return what the URI of a compiled code says; None: it is not the URI of one."""
    found = _PLACE.fullmatch(uri)
    return found and CodePlace(**found.groupdict())
