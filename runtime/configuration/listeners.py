"""Ports beside the main one, each for the clients of some protocols alone. Pure.

tensorflow_serving@8500                       on the host of the main port
torchserve_management@127.0.0.1:8081
open_inference+ml.v1@[::1]:9000               several protocols
"""

import re
from typing import Final, NamedTuple

_LISTENER: Final = r"(?P<protocols>[a-z0-9_.+]+)@(?:(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s:@\[\]]+):)?(?P<port>[0-9]{1,5})"
_PORTS: Final = 65536
ALLOWED: Final = "a comma-separated list of PROTOCOL[+PROTOCOL]@[HOST:]PORT, such as tensorflow_serving@8500"
TENSORFLOW_SERVING: Final = "tensorflow_serving@8500,tensorflow_serving@8501"  # the ports of its own server


class Listener(NamedTuple):
    """A port on which these protocols answer, and nothing else does. Port 0 is any free one."""

    protocols: tuple[str, ...]
    port: int
    host: str | None = None  # None: that of the main port

    def __str__(self) -> str:
        """Write it as the setting has it."""
        host = "" if self.host is None else f"[{self.host}]:" if ":" in self.host else f"{self.host}:"
        return f"{'+'.join(self.protocols)}@{host}{self.port}"


def parse_listeners(text: str) -> tuple[Listener, ...]:
    """Read a comma-separated list. Raises `ValueError`."""
    return tuple(_listener(each.strip()) for each in text.split(","))


def _listener(text: str) -> Listener:
    found = re.fullmatch(_LISTENER, text)
    if found is None:
        raise ValueError(text)
    protocols, port = tuple(found["protocols"].split("+")), int(found["port"])
    if not all(protocols) or port >= _PORTS:
        raise ValueError(text)
    return Listener(protocols, port, found["host"] and found["host"].strip("[]"))
