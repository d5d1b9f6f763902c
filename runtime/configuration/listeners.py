"""Ports other than the main one, each for some protocols only. Pure.

tensorflow_serving@8500                       on the host of the main port
torchserve_management@127.0.0.1:8081
open_inference+ml.v1@[::1]:9000               several protocols
"""

import re
from typing import Final, NamedTuple

_LISTENER: Final = r"(?P<protocols>[a-z0-9_.+]+)@(?:(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s:@\[\]]+):)?(?P<port>[0-9]{1,5})"
_MAX_PORT: Final = 65535
ALLOWED: Final = "a comma-separated list of PROTOCOL[+PROTOCOL]@[HOST:]PORT, such as tensorflow_serving@8500"
TENSORFLOW_SERVING: Final = "tensorflow_serving@8500,tensorflow_serving@8501"  # the ports of TensorFlow Serving


class Listener(NamedTuple):
    """A port that serves only these protocols."""

    protocols: tuple[str, ...]
    port: int  # 0: any free port
    host: str | None = None  # None: the host of the main port

    def __str__(self) -> str:
        """Return the listener in the form of the setting."""
        host = "" if self.host is None else f"[{self.host}]:" if ":" in self.host else f"{self.host}:"
        return f"{'+'.join(self.protocols)}@{host}{self.port}"


def parse_listeners(text: str) -> tuple[Listener, ...]:
    """Parse a comma-separated list. Raises `ValueError`."""
    return tuple(_listener(each.strip()) for each in text.split(","))


def _listener(text: str) -> Listener:
    match = re.fullmatch(_LISTENER, text)
    if match is None:
        raise ValueError(text)
    protocols, port = tuple(match["protocols"].split("+")), int(match["port"])
    if not all(protocols) or port > _MAX_PORT:
        raise ValueError(text)
    return Listener(protocols, port, match["host"] and match["host"].strip("[]"))
