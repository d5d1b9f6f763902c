"""TorchServe's keys: the key of a request, whether it is valid, and the content of the key file. Pure.

    management    describe, list, register, scale, set-default, unregister
    inference     predictions, and /ping
    api           only `GET /token`, which replaces one of the other two; it does not expire

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
    """The API that a key allows."""

    MANAGEMENT = "management"
    INFERENCE = "inference"
    API = "API"


class Key(NamedTuple):
    """One key. `expires` is in seconds since 1970; None: never."""

    text: str
    expires: float | None = None


def new(*, expires: float | None = None) -> Key:
    """Return a new random key of 192 bits."""
    return Key(secrets.token_urlsafe(_BYTES), expires)


def bearer_key(header: bytes | None) -> bytes:
    """Return the key in an `Authorization: Bearer KEY` header; empty if there is none."""
    scheme, _, key = (header or b"").partition(b" ")
    return key.strip() if scheme.lower() == _SCHEME else b""


def allows(key: Key, header: bytes | None, *, now: float) -> bool:
    """Return whether the header has this key and it has not expired.

    The comparison takes the same time for any header.
    """
    same = hmac.compare_digest(bearer_key(header), key.text.encode())
    return same and (key.expires is None or now < key.expires)


def document(keys: Mapping[Kind, Key]) -> bytes:
    """Return the content of `key_file.json`, as TorchServe writes it."""
    return orjson.dumps({kind.value: _entry(key) for kind, key in keys.items()}, option=orjson.OPT_INDENT_2)


def _entry(key: Key) -> dict[str, str]:
    entry = {"key": key.text}
    if key.expires is not None:
        entry["expiration time"] = datetime.fromtimestamp(key.expires, UTC).isoformat().replace("+00:00", "Z")
    return entry
