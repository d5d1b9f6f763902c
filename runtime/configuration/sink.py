"""The URL that events are posted to, and the extensions that a SinkBinding of Knative adds to them. Pure."""

import json
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from runtime.errors import BadSetting

_NAME: Final = re.compile(r"[a-z0-9]{1,20}")
_CONTEXT: Final = frozenset(
    {"id", "source", "type", "specversion", "time", "subject", "datacontenttype", "dataschema", "data"}
)
_URL: Final = "http://HOST[:PORT][/PATH], or the same with https"
_OVERRIDES: Final = (
    'JSON such as {"extensions": {"team": "risk"}}, with names of a-z and 0-9 that CloudEvents does not define'
)


def checked_url(text: str, *, name: str = "K_SINK") -> str:
    """Return a valid http or https URL; `name` is that of its setting. Raises `BadSetting`."""
    try:
        parts = urlsplit(text)
        is_valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_valid = False
    if not is_valid or not text.isascii() or not text.isprintable() or " " in text:
        raise BadSetting(name, value=text or None, allowed=_URL)
    return text


def request_target(url: str) -> str:
    """Return the path and the query of a URL, as a request has them (RFC 9112, section 3.2.1)."""
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def extensions(overrides: str | None) -> Mapping[str, str]:
    """Return the extensions that K_CE_OVERRIDES adds to each event. Raises `BadSetting`."""
    if not overrides:
        return {}
    try:
        found = json.loads(overrides).get("extensions")
        pairs = {} if found is None else dict(found.items())
    except (ValueError, AttributeError) as error:
        raise BadSetting("K_CE_OVERRIDES", value=overrides, allowed=_OVERRIDES) from error
    for name, value in pairs.items():
        if not _NAME.fullmatch(name) or name in _CONTEXT or not isinstance(value, str) or not value.isprintable():
            raise BadSetting("K_CE_OVERRIDES", value=overrides, allowed=_OVERRIDES)
    return pairs
