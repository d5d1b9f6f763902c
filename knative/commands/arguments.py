"""The arguments and options that commands share."""

import math
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TypeVar, cast

import click

from knative.resources import durations

F = TypeVar("F", bound=Callable[..., object])


def files(command: F) -> F:
    """Add the paths of manifests, as arguments or with -f as in kubectl. The command gets them as `paths`."""

    @wraps(command)
    def with_paths(*, from_option: tuple[Path, ...], from_arguments: tuple[Path, ...], **others: object) -> object:
        if not (from_option or from_arguments):
            raise click.UsageError("no files; pass a manifest or a folder of manifests, as PATH or with -f")
        return command(paths=(*from_arguments, *from_option), **others)

    kind = click.Path(exists=True, path_type=Path)
    from_option = click.option(
        "-f",
        "--filename",
        "from_option",
        multiple=True,
        type=kind,
        help="A manifest or a folder of manifests; the same as PATH.",
    )
    from_arguments = click.argument("from_arguments", metavar="[PATH]...", nargs=-1, type=kind)
    return cast("F", from_arguments(from_option(with_paths)))


def output(command: F) -> F:
    """Add -o, the format of the output."""
    kind = click.Choice(["table", "yaml", "json"])
    return click.option("-o", "--output", "form", type=kind, default="table", show_default=True)(command)


def cluster(command: F) -> F:
    """Add -n and --context, the namespace and the cluster; their defaults are those of kubectl."""
    command = click.option("-n", "--namespace", help="Namespace.  [default: func.yaml's or the context's]")(command)
    return click.option("--context", help="Context of the kubeconfig.  [default: the current one]")(command)


def deployment(command: F) -> F:
    """Add the options that no resource declares."""
    command = click.option("--image", help="Image of the runtime.  [default: func.yaml's]")(command)
    command = click.option("--service-account", help="Existing ServiceAccount for the pods.  [default: a new one]")(
        command
    )
    command = click.option("--s3-secret", help="Secret with the registry's keys.  [default: func.yaml's]")(command)
    return click.option("--s3-endpoint", help="The registry's address from inside a pod.  [default: the Secret's]")(
        command
    )


def duration(text: str) -> float:
    """Parse seconds: a duration as in the resources ("4s", "1m30s"), or a number."""
    found = _seconds(text)
    if not 0 < found <= durations.MAX_SECONDS:  # NaN is refused too
        longest = f"{durations.MAX_SECONDS / 3600:g}h"
        raise click.BadParameter(f'{text!r}: expected more than 0 and up to {longest}, such as "90s", "1m30s" or 90')
    return found


def _seconds(text: str) -> float:
    if durations.is_duration(text):
        return durations.seconds(text)
    try:
        return float(text)
    except ValueError:
        return math.nan


def timeout(command: F) -> F:
    """Add --timeout, the limit on waiting."""
    text = "Longest time to wait until ready."
    return click.option("--timeout", type=duration, default="5m", show_default=True, help=text)(command)


def force(command: F) -> F:
    """Add --force-conflicts."""
    text = "Overwrite fields that another field manager has set."
    return click.option("--force-conflicts", "force", is_flag=True, help=text)(command)
