"""The command `scalezero wasm`: the models on an event loop of this thread, the guest on a thread of its own.

A signal reaches Python only between two of its calls, so a guest on the main thread could not be interrupted.
"""

import asyncio
import os
import sys
import threading
from collections.abc import Container, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from runtime.configuration.guest_folders import GuestFolder
from runtime.errors import BadSetting

if TYPE_CHECKING:
    from runtime.settings import Settings
    from runtime.wasi_nn.running import Program
    from runtime.wasi_nn.session import Limits

_READ_ONLY: Final = "ro"
_INTERRUPTED: Final = 130  # the exit code after Ctrl-C, as of a shell


@click.group()
def command() -> None:
    """Run WebAssembly guests."""


@command.command(context_settings={"allow_interspersed_args": False})
@click.argument("guest", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "--dir",
    "folders",
    multiple=True,
    metavar="HOST[::GUEST[::ro]]",
    help="Folder for the guest; ro: only to read; repeatable.",
)
@click.option("--env", "variables", multiple=True, metavar="NAME=VALUE", help="Variable for the guest; repeatable.")
@click.option("--network", is_flag=True, help="Let the guest send HTTP requests and look up names of hosts.")
@click.option("--model", "models", multiple=True, metavar="NAME=URI", help="Model to load by name; repeatable.")
@click.option(
    "--max-model-bytes",
    type=click.IntRange(0),
    help="Largest model that the guest passes as bytes; 0 for none.  [default: 67108864]",
)
def run(
    guest: Path,
    arguments: tuple[str, ...],
    *,
    folders: tuple[str, ...],
    variables: tuple[str, ...],
    network: bool,
    models: tuple[str, ...],
    max_model_bytes: int | None,
) -> None:
    """Run GUEST, a core module or a component, with ARGUMENTS. WASI-NN computes on the models of --model.

    The guest has the standard streams of this process, and no file and no network except --dir and --network. Options
    stand before GUEST. Exit code: that of the guest, 134 if it was stopped, 2 for a wrong option.
    """
    from runtime.telemetry import logs
    from runtime.wasi_nn.running import Program
    from runtime.wasi_nn.session import Limits
    from runtime.wasm import Access

    access = Access([*map(_folder, folders)], network)
    program = Program(guest, arguments, [_pair("--env", each) for each in variables], access)
    limits = Limits() if max_model_bytes is None else Limits(model_bytes=max_model_bytes)
    named = [_pair("--model", each) for each in models]
    logs.set_up("warning")
    try:
        code = asyncio.run(_serve_and_run(program, named, limits))
    except KeyboardInterrupt:
        code = _INTERRUPTED
    _end(code)


def _end(code: int) -> None:
    """End the process at once: after Ctrl-C, the thread of the guest still runs."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _pair(option: str, text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not name or not separator:
        raise BadSetting(option, value=text, allowed="NAME=VALUE")
    return name, value


def _folder(text: str) -> GuestFolder:
    host, guest, mode, *more = (*text.split("::"), "", "")
    if not Path(host).is_dir() or mode not in ("", _READ_ONLY) or any(more):
        allowed = f"HOST[::GUEST[::{_READ_ONLY}]], where HOST is a folder on this machine"
        raise BadSetting("--dir", value=text, allowed=allowed)
    return GuestFolder(host, guest or host, read_only=bool(mode))


async def _serve_and_run(program: "Program", models: Sequence[tuple[str, str]], limits: "Limits") -> int:
    """Run the program on a thread of its own, and the models on this event loop. Raises `BadSetting`."""
    from runtime.service import Service
    from runtime.telemetry.process import process_started
    from runtime.wasi_nn.backend import ServiceBackend
    from runtime.wasi_nn.running import run as run_guest
    from runtime.wasi_nn.session import NnSession

    settings = _settings()
    service = Service(settings, process_started=process_started(), starts=())
    backend = ServiceBackend(service, asyncio.get_running_loop())
    done: Future[int] = Future()

    def work() -> None:
        try:
            with NnSession(backend, limits) as nn:
                done.set_result(run_guest(program, nn))
        except BaseException as error:  # noqa: BLE001 - raised where it is awaited
            done.set_exception(error)

    for name, uri in models:
        service.add(_settings_of(name, uri, settings, taken=service.models))
    await service.open()
    threading.Thread(target=work, name="guest", daemon=True).start()
    try:
        return await asyncio.wrap_future(done)
    finally:
        await backend.close()
        await service.close(within=0.0)


def _settings() -> "Settings":
    """Return the settings of the environment, without a model; the models are those of the options."""
    from runtime.configuration.companions import Companions
    from runtime.settings import in_pod, settings_from

    declared = {} if in_pod(os.environ) else {"manifest": "read"}
    none: dict[str, Any] = dict.fromkeys(("model_uri", "model_name", "model_version", "model_sha256", "variants"))
    return replace(settings_from(os.environ, **declared), **none, companions=Companions(), load="lazy")


def _settings_of(name: str, uri: str, settings: "Settings", *, taken: Container[str]) -> "Settings":
    from runtime.artifacts.uris import parse_uri
    from runtime.configuration.values import SEGMENT, is_segment

    if not is_segment(name):
        raise BadSetting("--model", value=f"{name}={uri}", allowed=f"a NAME that is {SEGMENT}")
    if name in taken:
        raise BadSetting("--model", value=f"{name}={uri}", allowed=f"one model with the name {name}")
    place = parse_uri(uri)
    if isinstance(place, Path) and not place.is_file():
        raise BadSetting("--model", value=f"{name}={uri}", allowed="a URI or path of an ONNX file that exists")
    return replace(settings, model_name=name, model_uri=uri)
