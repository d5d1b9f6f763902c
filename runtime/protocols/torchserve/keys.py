"""TorchServe's keys: which one a request shows, whether it is still good, and the file that holds them. Pure.

    management    describe, list, register, scale, set-default, unregister
    inference     predictions, and /ping
    api           only `GET /token`, which makes one of the other two anew; it does not expire

Source: pytorch/serve, docs/token_authorization_api.md. TorchServe's keys have 48 random bits; these have 192.
"""

import hmac
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Final, NamedTuple

import orjson

_BYTES: Final = 24  # of randomness; 32 characters
_SCHEME: Final = b"bearer"


class Kind(Enum):
    """What a key allows."""

    MANAGEMENT = "management"
    INFERENCE = "inference"
    API = "API"


class Key(NamedTuple):
    """One key. `expires` is in seconds since 1970; None: never."""

    text: str
    expires: float | None = None


def new(*, expires: float | None = None) -> Key:
    """A key that nobody can guess."""
    return Key(secrets.token_urlsafe(_BYTES), expires)


def shown(header: bytes | None) -> bytes:
    """The key in an `Authorization: Bearer KEY` header; empty where there is none."""
    scheme, _, key = (header or b"").partition(b" ")
    return key.strip() if scheme.lower() == _SCHEME else b""


def allows(key: Key, header: bytes | None, *, now: float) -> bool:
    """Whether the header shows this key, and it has not expired. The comparison takes the same time for any header."""
    same = hmac.compare_digest(shown(header), key.text.encode())
    return same and (key.expires is None or now < key.expires)


def document(keys: Mapping[Kind, Key]) -> bytes:
    """The content of `key_file.json`, as TorchServe writes it."""
    return orjson.dumps({kind.value: _entry(key) for kind, key in keys.items()}, option=orjson.OPT_INDENT_2)


def _entry(key: Key) -> dict[str, str]:
    entry = {"key": key.text}
    if key.expires is not None:
        entry["expiration time"] = datetime.fromtimestamp(key.expires, UTC).isoformat().replace("+00:00", "Z")
    return entry
