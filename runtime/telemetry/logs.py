"""Logs as JSON lines on standard error: time, level, logger, message, then the facts given as `extra`."""

import logging
import sys


def set_up(level: str, **always: str | None) -> None:
    """Send every log of this process through one handler; `always` are facts that each line carries."""
    from pythonjsonlogger.orjson import OrjsonFormatter

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        OrjsonFormatter(
            "{asctime}{levelname}{name}{message}",
            style="{",
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
            static_fields={name: value for name, value in always.items() if value is not None},
            datefmt="%Y-%m-%dT%H:%M:%S%z",
        )
    )
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
