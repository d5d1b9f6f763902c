"""uvicorn around the application: HTTP/1.1 and prior-knowledge HTTP/2 on one port.

With http11.py and exchange.py, which are parts of the protocol it runs, the only module that imports uvicorn.
"""

import signal
import socket
from typing import TYPE_CHECKING, Final

import uvicorn

from runtime.frontends.http11 import Http

if TYPE_CHECKING:
    from runtime.frontends.asgi import Application
    from runtime.service import Service

# Longer than Knative's and Go's proxies keep an idle connection (90 s), so that they close first and never write into
# one that is being closed here.
_KEEP_ALIVE: Final = 120
_LAST_WORDS: Final = 2  # seconds for the answers of a process that gives up


def run(application: "Application", listening: socket.socket, service: "Service") -> None:
    """Serve until SIGTERM or SIGINT, or until the service ends by itself.

    Then accept nothing more, finish what is in flight, and return.
    """
    config = uvicorn.Config(
        application,
        http=Http,
        loop="uvloop",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=max(1, int(service.settings.grace_period)),
    )
    server = uvicorn.Server(config)
    # uvicorn takes the signals over once its loop runs, and raises them again after its shutdown: both before and after
    # that they mean the same to us, and the exit code is 0.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, server.handle_exit)

    def end() -> None:
        config.timeout_graceful_shutdown = _LAST_WORDS
        server.should_exit = True

    service.end = end
    server.run(sockets=[listening])
