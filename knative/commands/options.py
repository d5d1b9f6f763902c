"""The options that verbs share, and what they mean: which resources, deployed how, to which cluster."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from knative.function.options import Flags, function_for, handler_for
from knative.function.options import deployment as deployment_options
from knative.manifests import Deployment
from knative.resources import Resources
from runtime.errors import BadSetting

FUNCTIONS = "functions"
F = TypeVar("F", bound=Callable[..., object])


def files(command: F) -> F:
    """Add -f, the manifests to read."""
    kind = click.Path(exists=True, path_type=Path)
    return click.option(
        "-f", "--filename", "paths", multiple=True, required=True, type=kind, help="A manifest, or a folder of them."
    )(command)


def output(command: F) -> F:
    """Add -o, the form of what is printed."""
    kind = click.Choice(["table", "yaml", "json"])
    return click.option("-o", "--output", "form", type=kind, default="table", show_default=True)(command)


def cluster(command: F) -> F:
    """Add -n and --context, which cluster and where in it; none: what kubectl would take."""
    command = click.option("-n", "--namespace", help="Namespace.  [default: the context's]")(command)
    return click.option("--context", help="Context of the kubeconfig.  [default: the current one]")(command)


def deployment(command: F) -> F:
    """Add what the resources do not say of their deployment."""
    command = click.option("--image", help="Image of the runtime.  [default: func.yaml's]")(command)
    command = click.option("--service-account", help="One that is there, for the pods.  [default: one is made]")(
        command
    )
    command = click.option("--s3-secret", help="Secret with the registry's keys.  [default: func.yaml's]")(command)
    return click.option("--s3-endpoint", help="The registry's address as pods see it.  [default: the Secret's]")(
        command
    )


def timeout(command: F) -> F:
    """Add --timeout, the bound on waiting, in seconds."""
    kind = click.FloatRange(min=0, min_open=True)
    return click.option("--timeout", type=kind, default=300.0, show_default=True, help="Seconds to wait for Ready.")(
        command
    )


def force(command: F) -> F:
    """Add --force-conflicts."""
    text = "Take over fields that somebody else has set."
    return click.option("--force-conflicts", "force", is_flag=True, help=text)(command)


def options_for(paths: tuple[Path, ...], resources: Resources, flags: Flags, *, namespace: str) -> Deployment:
    """Work out how the resources in `paths` are deployed; `namespace` holds where nobody says another.

    Raises `BadManifest` for a func.yaml, `BadSetting` for a flag, and for a function that the image cannot have.
    """
    handler = handler_for(paths)
    options = deployment_options(
        function_for(paths, resources.models),
        environ=os.environ,
        flags=flags,
        handler=handler and in_image(handler),
        namespace=namespace,
    )
    if handler and options.runtime.function_source is None:
        allowed = (
            f"one in a folder of {FUNCTIONS}/, all of which the image holds (scripts/image builds it), or its path in "
            "an image of your own as FUNCTION_SOURCE in func.yaml"
        )
        raise BadSetting("function", value=str(handler), allowed=allowed)
    return options


def in_image(handler: Path) -> Path | None:
    """Say where the image has an author's function; None where it has it not.

    The image has the folder functions/ in its working directory, so functions/NAME/main.py is there, wherever the
    command runs.
    """
    folder = handler.resolve().parent
    return Path(FUNCTIONS, folder.name, handler.name) if folder.parent.name == FUNCTIONS else None
