"""Logs on standard error: one JSON object per line, or plain text on a terminal.

A line has the time, the level, the logger and the message, then the facts given as `extra`. The lines of a request to
the author's function, its own log lines included, also have the facts that `bind` was given.
"""

import logging
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Final

_request: ContextVar[Mapping[str, object] | None] = ContextVar("request", default=None)
_STANDARD: Final = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime"})


def set_up(level: str, **always: str | None) -> None:
    """Send all logs of this process through one handler; every JSON line carries the facts in `always`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Text() if sys.stderr.isatty() else _json(always))
    handler.addFilter(_with_request)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def bind(facts: Mapping[str, object]) -> None:
    """Add the facts to each line that is logged in this context: by this task, or by a thread that runs in a copy."""
    _request.set(facts)


def _with_request(record: logging.LogRecord) -> bool:
    for name, value in (_request.get() or {}).items():
        if not hasattr(record, name):
            setattr(record, name, value)
    return True


def _json(always: Mapping[str, str | None]) -> logging.Formatter:
    from pythonjsonlogger.orjson import OrjsonFormatter

    return OrjsonFormatter(
        "{asctime}{levelname}{name}{message}",
        style="{",
        rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
        static_fields={name: value for name, value in always.items() if value is not None},
        datefmt="%Y-%m-%dT%H:%M:%S%z",
    )


class _Text(logging.Formatter):
    """For a person: the time, the level and the message, the facts behind it, and a traceback on lines of its own."""

    def __init__(self) -> None:
        super().__init__("{asctime} {levelname:7} {message}", style="{", datefmt="%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """The line without a traceback."""
        facts = {name: value for name, value in vars(record).items() if name not in _STANDARD and value is not None}
        return " ".join([super().formatMessage(record), *(f"{name}={value}" for name, value in facts.items())])
