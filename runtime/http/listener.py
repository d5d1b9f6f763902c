"""The one port, bound before anything heavy is imported."""

import socket
from typing import Final

from runtime.errors import BadSetting

_BACKLOG: Final = 2048  # connections that wait to be accepted; the kernel's own ceiling may be lower


def listen(host: str, port: int) -> socket.socket:
    """Bind at once: callers that come while the process still imports wait instead of being refused.

    Raises `BadSetting` where the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        reason = error.strerror or str(error)
        raise BadSetting(
            "SCALEZERO_HOST:PORT", value=f"{host}:{port}", allowed=f"an address to listen on ({reason})"
        ) from error
