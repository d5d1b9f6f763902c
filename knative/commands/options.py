"""The options that verbs share, and what they mean: which resources, deployed how, to which cluster."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import click

from knative.manifests import Deployment, S3Access
from runtime.errors import BadSetting
from runtime.settings import Settings

SOURCE = "main.py"
F = TypeVar("F", bound=Callable[..., object])


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What the flags of one call say; None says nothing."""

    image: str | None = None
    namespace: str | None = None
    context: str | None = None
    service_account: str | None = None
    s3_secret: str | None = None
    s3_endpoint: str | None = None


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


def options_for(paths: tuple[Path, ...], chosen: Chosen, *, namespace: str) -> Deployment:
    """Work out how the resources in `paths` are deployed. Raises `BadSetting`."""
    if chosen.image is None:
        raise BadSetting(
            "--image", value="nothing", allowed="the image of the runtime, here or as `image` in func.yaml"
        )
    known = Deployment(
        image=chosen.image,
        namespace=namespace,
        service_account=chosen.service_account,
        s3=S3Access(secret=chosen.s3_secret, endpoint_url=chosen.s3_endpoint),
    )
    return replace(known, runtime=_with_function(paths, known.runtime))


def _with_function(paths: tuple[Path, ...], runtime: Settings) -> Settings:
    """Serve the author's function that lies beside the manifests, if one does."""
    folders = dict.fromkeys(path if path.is_dir() else path.parent for path in paths)
    found = [folder / SOURCE for folder in folders if (folder / SOURCE).is_file()]
    if len(found) > 1:
        some = " and ".join(map(str, found))
        raise BadSetting("-f", value=some, allowed="the manifests of one function at a time")
    return replace(runtime, function_source=found[0]) if found else runtime
