"""Where the log goes, from the settings. Imports nothing heavy: the start of a process checks it first."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from runtime.errors import BadSetting
from runtime.settings import Settings, in_pod

SINK: Final = "sink"  # value of SCALEZERO_PREDICTION_LOG
_NAME: Final = re.compile(r"[a-z0-9]{1,20}")
_CONTEXT: Final = frozenset(
    {"id", "source", "type", "specversion", "time", "subject", "datacontenttype", "dataschema", "data"}
)
_OVERRIDES: Final = (
    'JSON such as {"extensions": {"team": "risk"}}, with names of a-z and 0-9 that CloudEvents does not define'
)


def check_target(settings: Settings) -> None:
    """Raise `BadSetting` if the log cannot work.

    In a pod, a missing K_SINK is no error: a SinkBinding may add it to the next revision, and predictions go on.
    """
    if settings.prediction_log == SINK:
        if settings.sink is not None:
            sink_url(settings.sink)
            extensions(settings.sink_overrides)
        elif not in_pod(os.environ):
            raise BadSetting("K_SINK", value=None, allowed="the URL of the sink, as SCALEZERO_PREDICTION_LOG is sink")
        return
    path = Path(settings.prediction_log or "")
    if path.is_dir() or not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
        allowed = "sink, or a file that can be written, in a folder that exists"
        raise BadSetting("SCALEZERO_PREDICTION_LOG", value=settings.prediction_log, allowed=allowed)


def sink_url(text: str) -> str:
    """Return a valid http or https URL. Raises `BadSetting`."""
    try:
        parts = urlsplit(text)
        is_valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_valid = False
    if not is_valid or not text.isascii() or not text.isprintable() or " " in text:
        raise BadSetting("K_SINK", value=text, allowed="http://HOST[:PORT][/PATH], or the same with https")
    return text


def extensions(text: str | None) -> Mapping[str, str]:
    """Return the extensions that K_CE_OVERRIDES adds to each event. Raises `BadSetting`."""
    if not text:
        return {}
    try:
        found = json.loads(text).get("extensions")
        pairs = {} if found is None else dict(found.items())
    except (ValueError, AttributeError) as error:
        raise BadSetting("K_CE_OVERRIDES", value=text, allowed=_OVERRIDES) from error
    for name, value in pairs.items():
        if not _NAME.fullmatch(name) or name in _CONTEXT or not isinstance(value, str) or not value.isprintable():
            raise BadSetting("K_CE_OVERRIDES", value=text, allowed=_OVERRIDES)
    return pairs
