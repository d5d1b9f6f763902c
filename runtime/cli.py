"""The command `scalezero`. Each command imports only what it needs, so that `serve` starts fast in a pod."""

import logging
import os
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import click

from runtime.errors import BadSetting, ScalezeroError

if TYPE_CHECKING:
    from runtime.settings import Settings

_CLUSTER_VERBS = {
    **{
        verb: f"knative.commands.{verb}"
        for verb in ("apply", "check", "delete", "deploy", "plan", "render", "rollout", "status")
    },
    "import": "knative.commands.import_",  # the bare word is Python's
}


class _Verbs(click.Group):
    """Imports the commands for a cluster only when they are used, because a pod only serves."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands."""
        return sorted([*super().list_commands(ctx), *_CLUSTER_VERBS])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Find a command; import it if it needs a cluster."""
        if cmd_name not in _CLUSTER_VERBS:
            return super().get_command(ctx, cmd_name)
        with _one_line_errors():
            command: click.Command = import_module(_CLUSTER_VERBS[cmd_name]).command
            return command

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; an error that the user can fix is one line."""
        with _one_line_errors():
            return super().invoke(ctx)


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="scalezero")
def scalezero() -> None:
    """Each ONNX model is a scale-to-zero Python function on Knative."""


@scalezero.command()
@click.argument("target", required=False)
@click.option("--port", type=int, help="Port to listen on; 0 takes a free one.  [default: $PORT or 8080]")
@click.option("--host", help="Address to listen on.  [default: 0.0.0.0]")
@click.option("--model-version", help="Which ModelVersion of a function's folder to serve, by name or version.")
@click.option("--tensorflow-serving", is_flag=True, help="Listen also on 8500 and 8501, as TensorFlow Serving does.")
@click.option("--torchserve", is_flag=True, help="Listen on 8080-8082, 7070 and 7071 with keys, as TorchServe does.")
@click.option(
    "--model-store", help="TorchServe's model store: a folder or s3://bucket/prefix/.  [default: $MODEL_STORE]"
)
@click.option("--models", help="Models of the store to serve: all, none, or a list.  [default: $LOAD_MODELS or all]")
@click.option("--enable-model-api", is_flag=True, help="Let the management API register and unregister models.")
@click.option("--lazy", is_flag=True, help="Pull the model at the first request instead of at the start.")
def serve(  # noqa: PLR0913 - a parameter for each option
    target: str | None,
    *,
    port: int | None,
    host: str | None,
    model_version: str | None,
    tensorflow_serving: bool,
    torchserve: bool,
    model_store: str | None,
    models: str | None,
    enable_model_api: bool,
    lazy: bool,
) -> None:
    """Serve TARGET: an ONNX file or a TorchServe archive (s3://bucket/key, file:// or a path), or a function's folder.

    Without TARGET, environment variables define what to serve, as in a pod.
    """
    chosen = {
        "PORT": port,
        "SCALEZERO_HOST": host,
        "SCALEZERO_MODEL_VERSION": model_version,
        "MODEL_STORE": model_store,
        "LOAD_MODELS": models,
        "SCALEZERO_MODEL_API": "true" if enable_model_api else None,
        "SCALEZERO_LOAD": "lazy" if lazy else None,
    }
    environ = {**os.environ, **{name: str(value) for name, value in chosen.items() if value is not None}}
    _serve(
        target,
        _configured(environ, tensorflow_serving=tensorflow_serving, torchserve=torchserve),
        main=not torchserve or port is not None,
    )


@scalezero.command()
@click.argument("target", required=False)
@click.option("--model-version", help="Which ModelVersion of a function's folder to describe, by name or version.")
@click.option("--api-definition", is_flag=True, help="Print an APIDefinition, for the folder's model.yaml.")
def openapi(target: str | None, model_version: str | None, *, api_definition: bool) -> None:
    """Print the OpenAPI document of `serve TARGET`, as /openapi.json answers it. Starts no server.

    Loads the model to read its inputs and outputs.
    """
    _openapi(target, {"SCALEZERO_MODEL_VERSION": model_version} if model_version else {}, api_definition)


@scalezero.command()
@click.argument("target", type=click.Path(exists=True, path_type=Path))
@click.argument("uri", required=False)
def publish(target: Path, uri: str | None) -> None:
    """Publish TARGET: an ONNX file or TorchServe archive to URI, or the missing models of a function's folder."""
    _publish(target, uri)


def main() -> None:
    """Run the command; the entry point that pyproject.toml names, also for `kn scalezero`."""
    scalezero.main(prog_name="kn scalezero" if Path(sys.argv[0]).name.startswith("kn-") else "scalezero")


_EXTRAS = {  # what a verb may need, and the extra that brings it
    **dict.fromkeys(("kubernetes", "rich"), "knative"),
    **dict.fromkeys(("msgspec", "yaml"), "resources"),
    **dict.fromkeys(("onnx", "skl2onnx", "sklearn"), "train"),
    **dict.fromkeys(("boto3", "httptools", "ngh2", "numpy", "onnxruntime", "orjson", "uvloop"), "serve"),
}


class _one_line_errors:  # noqa: N801 - used as `with _one_line_errors():`
    """An error that the user can fix is one line on standard error, and exit code 2."""

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Print the error and exit, if there is one."""
        if isinstance(error, ScalezeroError):
            _stop(str(error))
        if isinstance(error, ModuleNotFoundError) and error.name in _EXTRAS:
            _stop(f"{error.name} is not installed: pip install 'scalezero[{_EXTRAS[error.name]}]'")


def _stop(sentence: str) -> NoReturn:
    from runtime.telemetry.termination import leave

    click.echo(f"scalezero: {sentence}", err=True)
    leave(sentence)
    sys.exit(2)


class _Configured(NamedTuple):
    """What the environment and the flags for the ports of other servers say."""

    environ: dict[str, str]
    unused: tuple[str, ...]  # properties of TorchServe's configuration that have no effect


def _configured(environ: dict[str, str], *, tensorflow_serving: bool, torchserve: bool) -> _Configured:
    """Add what TorchServe's own configuration says, and the ports that the flags ask for. Raises `BadSetting`."""
    from runtime.configuration.listeners import TENSORFLOW_SERVING

    asked = [environ.get("SCALEZERO_LISTEN", "")]
    unused: tuple[str, ...] = ()
    if tensorflow_serving:
        asked.append(TENSORFLOW_SERVING)
    if torchserve or any(name.startswith("TS_") for name in environ):
        from runtime.configuration.torchserve import configured

        environ, listen, unused = configured(environ)
        if torchserve:
            asked.append(listen)
    return _Configured({**environ, "SCALEZERO_LISTEN": ",".join(filter(None, asked))}, unused)


def _serve(target: str | None, configured: _Configured, *, main: bool) -> None:
    """Start in the order that makes a cold start fast: the ports, the pull, the heavy imports, the server.

    `main`: whether the main port is open.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))  # nothing to finish before the server handles them
    from runtime.http.listener import listen
    from runtime.service import Service, begin
    from runtime.settings import unknown_variables
    from runtime.telemetry.process import process_started

    started = process_started()
    settings = _settings(target, configured.environ)
    first = [listen(settings.host, settings.port)] if main else []
    further = [listen(each.host or settings.host, each.port, setting="SCALEZERO_LISTEN") for each in settings.listen]
    starts = begin(settings)

    from runtime.telemetry import logs

    logs.set_up(settings.log_level, service=settings.service, revision=settings.revision)
    if configured.unused:
        text = "properties of TorchServe's configuration without effect"
        logging.getLogger("scalezero.torchserve").warning(text, extra={"properties": configured.unused})
    for variable, allowed in unknown_variables(configured.environ).items():
        logging.getLogger("scalezero.settings").warning(
            "unknown setting ignored", extra={"variable": variable, "expected": allowed}
        )
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


def _settings(target: str | None, environ: dict[str, str]) -> "Settings":
    from runtime.artifacts.uris import is_unpacked
    from runtime.declared import settings_for

    folder = Path(target) if target and Path(target).is_dir() and not is_unpacked(Path(target)) else None
    return settings_for(folder, environ=environ | ({"SCALEZERO_MODEL_URI": target} if target and not folder else {}))


def _openapi(target: str | None, chosen: dict[str, str], api_definition: bool) -> None:  # noqa: FBT001 - a flag
    import asyncio

    environ = {**os.environ, **chosen, "SCALEZERO_LOAD": "lazy"}
    settings = _settings(target, _configured(environ, tensorflow_serving=False, torchserve=False).environ)
    from runtime.frontends.describing import describe

    document = asyncio.run(describe(settings))
    if api_definition:
        from knative.resources.api_rendering import rendered

        click.echo(rendered(document), nl=False)
        return
    import json

    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def _publish(target: Path, uri: str | None) -> None:
    from tempfile import TemporaryDirectory

    if target.is_dir():
        if uri:
            raise BadSetting(
                "URI", value=uri, allowed="none for a folder: its ModelVersions say where they are published"
            )
        from knative.function.publishing import publish_function

        publish_function(target, only_missing=True, say=click.echo)
        return
    if not uri:
        raise BadSetting("URI", value=None, allowed="where to publish the file, such as s3://models/model-v1.onnx")
    from runtime.artifacts.fetch import fetch
    from runtime.model.session import Session
    from runtime.registry import publish

    with TemporaryDirectory() as unpacked:  # of an archive
        model = fetch(str(target), cache_dir=Path(unpacked)).path
        Session(
            model, uri=str(target), name=target.stem, threads=1
        )  # a published file cannot be replaced, so check first that it opens
    published = publish(target, uri, metadata={})
    click.echo(f"{published.uri} {'published' if published.uploaded else 'already exists'}, sha256 {published.sha256}")
