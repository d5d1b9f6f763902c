"""How a verb ends that waits for a cluster: 0 where all is up, 1 where something does not come up, with its reason."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from knative.deploying.errors import NotUp


@contextmanager
def exit_on_failure() -> Iterator[None]:
    """Tell what does not come up on standard error and end with 1; what a cluster refuses ends elsewhere, with 2."""
    try:
        yield
    except NotUp as error:
        click.echo(f"scalezero: {error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        click.echo(
            "scalezero: no longer waiting; the cluster goes on, and the same command takes it up again", err=True
        )
        sys.exit(130)
