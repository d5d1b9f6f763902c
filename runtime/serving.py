"""`scalezero serve`: starts in the order that makes a cold start fast.

ports bound -> pull begins -> heavy imports -> event loop -> session and function
"""

import logging
import os
import signal
import socket
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from runtime.settings import Settings

_log: Final = logging.getLogger("scalezero.serve")
_ANY_ADDRESS: Final = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - what a caller on this machine may use


class Configured(NamedTuple):
    """The environment, with what the flags for the ports of other servers and TorchServe's configuration add."""

    environ: dict[str, str]
    unused: tuple[str, ...]  # properties of TorchServe's configuration that have no effect


def configured(environ: dict[str, str], *, tensorflow_serving: bool = False, torchserve: bool = False) -> Configured:
    """Add TorchServe's own configuration, and the ports that the flags ask for. Raises `BadSetting`."""
    from runtime.configuration.listeners import TENSORFLOW_SERVING

    ports = [environ.get("SCALEZERO_LISTEN", "")]
    unused: tuple[str, ...] = ()
    if tensorflow_serving:
        ports.append(TENSORFLOW_SERVING)
    if torchserve or any(name.startswith("TS_") for name in environ):
        from runtime.configuration import torchserve as theirs

        environ, listen, unused = theirs.configured(environ)
        if torchserve:
            ports.append(listen)
    return Configured({**environ, "SCALEZERO_LISTEN": ",".join(filter(None, ports))}, unused)


def settings_of(target: str | None, environ: dict[str, str]) -> "Settings":
    """The settings of `serve TARGET`. Raises `BadSetting` and `BadManifest`."""
    from runtime.artifacts.uris import is_unpacked
    from runtime.declared import settings_for

    folder = Path(target) if target and Path(target).is_dir() and not is_unpacked(Path(target)) else None
    return settings_for(folder, environ=environ | ({"SCALEZERO_MODEL_URI": target} if target and not folder else {}))


def serve(target: str | None, configuration: Configured, *, main: bool) -> None:
    """Serve until the process ends; `main`: whether the main port is open. Raises `BadSetting` and `BadManifest`."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))  # nothing to finish before the server handles them
    from runtime.http.listener import listen
    from runtime.service import Service, begin
    from runtime.settings import unknown_variables
    from runtime.telemetry.process import process_started

    started = process_started()
    settings = settings_of(target, configuration.environ)
    first = [listen(settings.host, settings.port)] if main else []
    further = [listen(each.host or settings.host, each.port, setting="SCALEZERO_LISTEN") for each in settings.listen]
    starts = begin(settings)

    from runtime.telemetry import logs

    logs.set_up(settings.log_level, service=settings.service, revision=settings.revision)
    _announce(settings, first or further)
    if configuration.unused:
        text = "properties of TorchServe's configuration without effect"
        logging.getLogger("scalezero.torchserve").warning(text, extra={"properties": configuration.unused})
    for variable, allowed in unknown_variables(configuration.environ).items():
        _log.warning("unknown setting ignored", extra={"variable": variable, "expected": allowed})
    if starts:
        import_module("runtime.model.session")  # the heaviest import, while the pull is under way
    from runtime.frontends.process import Process
    from runtime.http.limits import Limits
    from runtime.http.server import Port, run

    service = Service(settings, process_started=started, starts=starts)
    limits = Limits(body=settings.max_body_bytes, buffered=settings.max_buffered_bytes)
    process = Process(service)
    applications = [*([process.main] if main else []), *process.others]
    ports = [Port(*each) for each in zip(applications, [*first, *further], strict=True)]
    run(process, ports, limits=limits, grace=settings.grace_period)
    if service.hopeless:
        from runtime.telemetry.termination import leave

        leave(str(service.hopeless))
    # The grace period is over. A handler or a pull that still runs must not delay the exit, as the interpreter's own
    # shutdown would.
    logging.shutdown()
    os._exit(1 if service.hopeless else 0)


def _announce(settings: "Settings", sockets: Sequence[socket.socket]) -> None:
    """Log where this process listens, and what its first answer waits for."""
    from runtime.errors import public_uri

    host, port = sockets[0].getsockname()[:2]
    url = f"http://{_ANY_ADDRESS.get(host, f'[{host}]' if ':' in host else host)}:{port}"
    facts = {"url": url, "openapi": f"{url}/openapi.json"}
    if settings.function_source:
        facts["function"] = str(settings.function_source)
    if settings.model_uri:
        facts["model"] = public_uri(settings.model_uri)
    waiting = "the first request loads the model" if settings.load == "lazy" else "loading"
    _log.info("listening; %s", waiting, extra=facts)
