"""Logs on standard error: one JSON object per line, or plain text on a terminal.

A line has the time, the level, the logger and the message, then the fields given as `extra`. During a request to the
author's function, every line also has the fields given to `bind`, including the lines of the function itself.
"""

import logging
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Final

_request_fields: ContextVar[Mapping[str, object] | None] = ContextVar("request", default=None)
_STANDARD: Final = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime"})


class Held(logging.Handler):
    """Keeps the records of threads that start before the logs are set up."""

    def __init__(self) -> None:
        super().__init__()
        self._records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the record."""
        self._records.append(record)

    def pass_on(self) -> None:
        """Log the records, now that the logs are set up. The new level applies to them."""
        for each in self._records:
            logger = logging.getLogger(each.name)
            if logger.isEnabledFor(each.levelno):
                logger.handle(each)


def hold() -> Held:
    """Keep what is logged until `set_up`, at Python's default level WARNING; `Held.pass_on` then logs it."""
    held = Held()
    logging.getLogger().addHandler(held)
    return held


def set_up(level: str, **static: str | None) -> None:
    """Send all logs of this process through one handler. Every JSON line has the fields in `static`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Text() if sys.stderr.isatty() else _json(static))
    handler.addFilter(_add_request_fields)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def bind(fields: Mapping[str, object]) -> None:
    """Add the fields to all lines logged in this context: by this task, or by a thread that runs in a copy of it."""
    _request_fields.set(fields)


def bound() -> Mapping[str, str]:
    """Return the fields of this context that are texts, such as the ID of the request."""
    fields = _request_fields.get() or {}
    return {name: value for name, value in fields.items() if isinstance(value, str)}


def _add_request_fields(record: logging.LogRecord) -> bool:
    for name, value in (_request_fields.get() or {}).items():
        if not hasattr(record, name):
            setattr(record, name, value)
    return True


def _json(static: Mapping[str, str | None]) -> logging.Formatter:
    from pythonjsonlogger.orjson import OrjsonFormatter

    return OrjsonFormatter(
        "{asctime}{levelname}{name}{message}",
        style="{",
        rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
        static_fields={name: value for name, value in static.items() if value is not None},
        datefmt="%Y-%m-%dT%H:%M:%S%z",
    )


class _Text(logging.Formatter):
    """Text for people: time, level, message, fields, and a traceback on its own lines."""

    def __init__(self) -> None:
        super().__init__("{asctime} {levelname:7} {message}", style="{", datefmt="%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Return the line without a traceback."""
        fields = {name: value for name, value in vars(record).items() if name not in _STANDARD and value is not None}
        return " ".join([super().formatMessage(record), *(f"{name}={value}" for name, value in fields.items())])
