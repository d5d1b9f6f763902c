"""Binds the ports, before the slow imports."""

import errno
import os
import socket
from typing import Final

from runtime.errors import BadSetting

_BACKLOG: Final = 2048  # connections that wait to be accepted; the kernel's limit may be lower


def listen(host: str, port: int, *, setting: str = "SCALEZERO_HOST:PORT") -> socket.socket:
    """Bind a port. Connections that arrive during the imports wait, and are not refused.

    Raises `BadSetting` if the address cannot be bound; `setting` is the name of the setting for the address.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        # `create_server` repeats the address in the text of an error that has a number.
        number = error.errno or 0
        reason = os.strerror(number) if number > 0 else str(error.strerror or error)
        allowed = f"an address of this machine ({reason})"
        if number == errno.EADDRINUSE:
            change = "SCALEZERO_LISTEN" if setting == "SCALEZERO_LISTEN" else "--port or PORT"
            allowed = f"a free port ({reason}); choose another one with {change}"
        raise BadSetting(setting, value=f"{host}:{port}", allowed=allowed) from error
