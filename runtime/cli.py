"""The command `scalezero`. Each command imports only what it needs, so that `serve` starts fast in a pod."""

import os
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import click

from runtime.errors import BadSetting, ScalezeroError
from runtime.variants import options

_CLUSTER_COMMANDS = {
    **{
        name: f"knative.commands.{name}"
        for name in (
            *("apply", "check", "delete", "deploy", "init", "logs"),
            *("models", "plan", "quantize", "render", "rollout", "status"),
        )
    },
    "import": "knative.commands.import_",  # `import` is a keyword of Python
}
_COMMANDS = {**_CLUSTER_COMMANDS, "event": "runtime.sending.command", "wasm": "runtime.wasm_command"}


class _NotInstalled(click.Command):
    """A command whose packages are missing. The help of scalezero lists it with the reason; any use is an error."""

    def __init__(self, name: str, reason: str) -> None:
        """`reason`: what is missing, and how to install it."""
        super().__init__(name, short_help=reason)

    def make_context(self, *_: object, **__: object) -> NoReturn:
        """Print the reason, and exit."""
        _stop(str(self.short_help))


class _Commands(click.Group):
    """A command group that imports its commands only when they are used, because a pod only serves."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted([*super().list_commands(ctx), *_COMMANDS])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Find a command, and import it if it is not in this module."""
        if cmd_name not in _COMMANDS:
            return super().get_command(ctx, cmd_name)
        with _one_line_errors():
            try:
                command: click.Command = import_module(_COMMANDS[cmd_name]).command
            except ModuleNotFoundError as error:
                if error.name not in _EXTRAS:
                    raise
                return _NotInstalled(cmd_name, _missing(error.name))
            return command

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; print an error that the user can fix as one line."""
        with _one_line_errors():
            return super().invoke(ctx)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="scalezero")
def scalezero() -> None:
    """Each ONNX model is a scale-to-zero Python function on Knative."""


@scalezero.command()
@click.argument("target", required=False)
@click.option("--port", type=int, help="Port to listen on; 0 selects a free port.  [default: $PORT or 8080]")
@click.option("--host", help="Address to listen on.  [default: 0.0.0.0]")
@click.option("--model-version", help="Which ModelVersion of a function's folder to serve, by name or version.")
@click.option("--tensorflow-serving", is_flag=True, help="Listen also on 8500 and 8501, as TensorFlow Serving does.")
@click.option("--torchserve", is_flag=True, help="Listen on 8080-8082, 7070 and 7071 with keys, as TorchServe does.")
@click.option(
    "--model-store", help="TorchServe's model store: a folder or s3://bucket/prefix/.  [default: $MODEL_STORE]"
)
@click.option("--models", help="Models of the store to serve: all, none, or a list.  [default: $LOAD_MODELS or all]")
@click.option("--enable-model-api", is_flag=True, help="Let the management API register and unregister models.")
@click.option("--log-predictions", metavar="FILE", help="Append each prediction to FILE, as a CloudEvent in JSON.")
@click.option("--lazy", is_flag=True, help="Pull the model at the first request instead of at the start.")
@click.option("--reload", is_flag=True, help="Restart when a file in TARGET's folder changes.")
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
    log_predictions: str | None,
    lazy: bool,
    reload: bool,
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
        "SCALEZERO_PREDICTION_LOG": log_predictions,
    }
    if reload:
        from runtime.reloading import serve_and_reload

        serve_and_reload(_watched(target), [each for each in sys.argv if each != "--reload"])
        return
    from runtime import serving

    environ = {**os.environ, **{name: str(value) for name, value in chosen.items() if value is not None}}
    configuration = serving.configured(environ, tensorflow_serving=tensorflow_serving, torchserve=torchserve)
    serving.serve(target, configuration, main=not torchserve or port is not None)


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
@click.option("--name", help="Name of the model.  [default: the one in an archive, else the file name in URI]")
@click.option("--version", help="Version of the model.  [default: the one in the file, else 1]")
@click.option("--optimize", is_flag=True, help="Make faster variants and measure them; implied by the options below.")
@click.option("--calibration", metavar="NPZ", help="Rows by input name, for the ranges of int8: a file or s3:// URI.")
@click.option(
    "--evaluation", metavar="NPZ", help="Rows that judge accuracy, with labels by output name if there are any."
)
@options.bounds()
@click.option("--dry-run", is_flag=True, help="Print what would be uploaded, and upload nothing.")
@click.option("-o", "--output", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
def publish(  # noqa: PLR0913 - a parameter for each option
    target: Path,
    uri: str | None,
    *,
    name: str | None,
    version: str | None,
    optimize: bool,
    calibration: str | None,
    evaluation: str | None,
    max_accuracy_loss: float | None,
    min_speedup: float | None,
    accept_unjudged: bool,
    batch_size: int | None,
    dry_run: bool,
    form: str,
) -> None:
    """Publish TARGET: an ONNX file or TorchServe archive to URI, or the missing models of a function's folder.

    Writes a manifest beside each model. A published model never changes.
    """
    stated = {
        "--calibration": calibration,
        "--evaluation": evaluation,
        "--max-accuracy-loss": max_accuracy_loss,
        "--min-speedup": min_speedup,
        "--accept-unjudged": accept_unjudged or None,
        "--batch-size": batch_size,
    }
    if target.is_dir():
        own = {"URI": uri, "--name": name, "--version": version, "--optimize": optimize or None, **stated}
        _publish_folder(target, own, dry_run=dry_run, form=form)
        return
    if not uri:
        raise BadSetting("URI", value=None, allowed="the destination of the file, such as s3://models/model-v1.onnx")
    from runtime.registry import Publication
    from runtime.registry.command import publish_file
    from runtime.registry.interruption import ended_by_sigterm
    from runtime.registry.optimization import optimization_of

    optimization = None
    if optimize or any(value is not None for value in stated.values()):
        optimization = optimization_of(
            calibration=calibration,
            evaluation=evaluation,
            max_accuracy_loss=max_accuracy_loss,
            min_speedup=min_speedup,
            accept_unjudged=accept_unjudged,
            batch_size=batch_size,
        )
    with ended_by_sigterm():
        publish_file(target, uri, Publication(name, version), optimization=optimization, dry_run=dry_run, form=form)


def main() -> None:
    """Run the command; the entry point that pyproject.toml names, also for `kn scalezero`."""
    scalezero.main(prog_name="kn scalezero" if Path(sys.argv[0]).name.startswith("kn-") else "scalezero")


_EXTRAS = {  # modules that a command may need -> the extra that installs them
    **dict.fromkeys(("kubernetes", "rich"), "knative"),
    **dict.fromkeys(("msgspec", "yaml"), "resources"),
    **dict.fromkeys(("onnx", "skl2onnx", "sklearn"), "train"),
    "matplotlib": "optimize",
    "wasmtime": "wasm",
    "watchfiles": "reload",
    **dict.fromkeys(("boto3", "httptools", "ngh2", "numpy", "onnxruntime", "orjson", "uvloop"), "serve"),
}


class _one_line_errors:  # noqa: N801 - used as `with _one_line_errors():`
    """A context that prints an error which the user can fix as one line on standard error, and exits with code 2."""

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Print the error and exit, if there is one."""
        if isinstance(error, ScalezeroError):
            _stop(str(error))
        if isinstance(error, ModuleNotFoundError) and error.name in _EXTRAS:
            _stop(_missing(error.name))


def _missing(module: str) -> str:
    return f"{module} is not installed: pip install 'scalezero[{_EXTRAS[module]}]'"


def _stop(message: str) -> NoReturn:
    from runtime.telemetry.termination import write_termination_message

    click.echo(f"scalezero: {message}", err=True)
    write_termination_message(message)
    sys.exit(2)


def _watched(target: str | None) -> Path:
    """Return the folder to watch: the function's folder, or the folder of a model's file. Raises `BadSetting`."""
    path = Path(target or "")
    if target is None or not path.exists():
        raise BadSetting("--reload", value=target, allowed="TARGET as a folder or a file on this machine")
    return path if path.is_dir() else path.absolute().parent


def _openapi(target: str | None, chosen: dict[str, str], api_definition: bool) -> None:  # noqa: FBT001 - a flag
    import asyncio

    environ = {**os.environ, **chosen, "SCALEZERO_LOAD": "lazy"}
    from runtime import serving
    from runtime.frontends.describing import describe

    settings = serving.settings_of(target, serving.configured(environ).environ)
    document = asyncio.run(describe(settings))
    if api_definition:
        from knative.resources.api_rendering import render

        click.echo(render(document), nl=False)
        return
    import json

    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def _publish_folder(folder: Path, stated: Mapping[str, object], *, dry_run: bool, form: str) -> None:
    for option, value in stated.items():
        if value is not None:
            owner = "ModelVersions" if option in {"URI", "--name", "--version"} else "ModelOptimizations"
            raise BadSetting(option, value=value, allowed=f"none for a folder: its {owner} state it")
    from knative.function.publishing import plan_function, publish_function
    from runtime.registry.command import published_data
    from runtime.registry.interruption import ended_by_sigterm
    from runtime.registry.terminal import print_json, progress_bar, tell

    if form == "json":
        if dry_run:
            print_json([each._asdict() for each in plan_function(folder)])
            return
        with ended_by_sigterm(), redirect_stdout(sys.stderr):  # train.py may print
            published = publish_function(folder, only_missing=True, report=tell, watch=progress_bar)
        print_json(list(map(published_data, published)))
        return
    if dry_run:
        for each in plan_function(folder):
            click.echo(each)
        return
    with ended_by_sigterm():
        publish_function(folder, only_missing=True, report=click.echo, watch=progress_bar)
