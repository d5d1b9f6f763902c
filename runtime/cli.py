"""The command `scalezero`. Each command imports only what it needs, so that `serve` starts fast in a pod."""

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import click

from runtime.errors import BadSetting, ScalezeroError

_CLUSTER_VERBS = {
    **{
        verb: f"knative.commands.{verb}"
        for verb in ("apply", "check", "delete", "deploy", "init", "logs", "plan", "render", "rollout", "status")
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
    "watchfiles": "reload",
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


def _watched(target: str | None) -> Path:
    """The folder to watch: a function's, or that of a model's file. Raises `BadSetting`."""
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
        from knative.resources.api_rendering import rendered

        click.echo(rendered(document), nl=False)
        return
    import json

    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def _publish(target: Path, uri: str | None) -> None:
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
    from runtime.registry import check_model, publish

    check_model(target, name=target.stem)
    published = publish(target, uri, metadata={})
    click.echo(f"{published.uri} {'published' if published.uploaded else 'already exists'}, sha256 {published.sha256}")
