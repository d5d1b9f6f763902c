"""`scalezero serve`: the start of the process, in an order that makes a cold start fast.

bind the ports -> start the pull -> heavy imports -> event loop -> session and function
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
MANIFEST_SETTING: Final = "SCALEZERO_MANIFEST"
_ANY_ADDRESS: Final = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - the address for a caller on this machine


class Configured(NamedTuple):
    """The environment, completed by TorchServe's configuration and by the flags for the ports of other servers."""

    environ: dict[str, str]
    unused: tuple[str, ...]  # properties of TorchServe's configuration that have no effect


def configured(environ: dict[str, str], *, tensorflow_serving: bool = False, torchserve: bool = False) -> Configured:
    """Add TorchServe's configuration, and the ports that the flags select. Raises `BadSetting`."""
    from runtime.configuration.listeners import TENSORFLOW_SERVING

    ports = [environ.get("SCALEZERO_LISTEN", "")]
    unused: tuple[str, ...] = ()
    if tensorflow_serving:
        ports.append(TENSORFLOW_SERVING)
    if torchserve or any(name.startswith("TS_") for name in environ):
        from runtime.configuration import torchserve as torchserve_configuration

        configuration = torchserve_configuration.read_configuration(environ)
        environ, unused = configuration.environ, configuration.unused
        if torchserve:
            ports.append(configuration.listen())
    return Configured({**environ, "SCALEZERO_LISTEN": ",".join(filter(None, ports))}, unused)


def settings_of(target: str | None, environ: dict[str, str]) -> "Settings":
    """Return the settings of `serve TARGET`. Raises `BadSetting` and `BadManifest`."""
    from runtime.artifacts.uris import is_unpacked
    from runtime.declared import settings_for
    from runtime.settings import in_pod

    if not in_pod(environ) and not environ.get(MANIFEST_SETTING):
        environ = environ | {MANIFEST_SETTING: "read"}
    folder = Path(target) if target and Path(target).is_dir() and not is_unpacked(Path(target)) else None
    return settings_for(folder, environ=environ | ({"SCALEZERO_MODEL_URI": target} if target and not folder else {}))


def serve(target: str | None, configuration: Configured, *, main: bool) -> None:
    """Serve until the process ends; `main`: whether the main port is open. Raises `BadSetting` and `BadManifest`."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))  # until the server handles signals, there is nothing to finish
    from runtime.http.listener import listen
    from runtime.service import Service, begin
    from runtime.settings import unknown_variables
    from runtime.telemetry import logs
    from runtime.telemetry.process import process_started

    started = process_started()
    settings = settings_of(target, configuration.environ)
    first = [listen(settings.host, settings.port)] if main else []
    others = [listen(each.host or settings.host, each.port, setting="SCALEZERO_LISTEN") for each in settings.listen]
    held = logs.hold()
    starts = begin(settings)
    logs.set_up(settings.log_level, service=settings.service, revision=settings.revision)
    held.pass_on()
    _announce(settings, first or others)
    if configuration.unused:
        text = "properties of TorchServe's configuration have no effect"
        logging.getLogger("scalezero.torchserve").warning(text, extra={"properties": configuration.unused})
    for variable, allowed in unknown_variables(configuration.environ).items():
        _log.warning("unknown setting ignored", extra={"variable": variable, "expected": allowed})
    if starts:
        import_module("runtime.model.session")  # the slowest import, done during the pull
    from runtime.frontends.process import Process
    from runtime.http.limits import Limits
    from runtime.http.server import Port, run

    service = Service(settings, process_started=started, starts=starts)
    limits = Limits(body=settings.max_body_bytes, buffered=settings.max_buffered_bytes)
    process = Process(service)
    applications = [*([process.main] if main else []), *process.others]
    ports = [Port(*each) for each in zip(applications, [*first, *others], strict=True)]
    run(process, ports, limits=limits, grace=settings.grace_period)
    if service.fatal_error:
        from runtime.telemetry.termination import write_termination_message

        write_termination_message(service.fatal_reason)
    # The grace period is over. The interpreter's normal shutdown would wait for a handler or a pull that still runs.
    logging.shutdown()
    os._exit(1 if service.fatal_error else 0)


def _announce(settings: "Settings", sockets: Sequence[socket.socket]) -> None:
    """Log the URL of this process, and whether the model is loaded now or at the first request."""
    from runtime.errors import public_uri
    from runtime.service import has_model

    host, port = sockets[0].getsockname()[:2]
    url = f"http://{_ANY_ADDRESS.get(host, f'[{host}]' if ':' in host else host)}:{port}"
    facts = {"url": url, "openapi": f"{url}/openapi.json"}
    if settings.has_function:
        facts["function"] = str(settings.guest_uri or settings.function_source)
    if settings.model_uri:
        facts["model"] = public_uri(settings.model_uri)
    if settings.companions:
        facts["companions"] = ", ".join(f"{each.name} {each.version}" for each in settings.companions)
    text = "listening"
    if has_model(settings):
        text += "; the first request loads the model" if settings.load == "lazy" else "; loading"
    _log.info(text, extra=facts)
