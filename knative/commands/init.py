"""`scalezero init`: a folder for a new function."""

from pathlib import Path

import click

from knative.function.creating import FILES, create


@click.command("init")
@click.argument("name", type=click.Path(path_type=Path))
def command(name: Path) -> None:
    """Write the folder of a new function that works: NAME/main.py, model.yaml, func.yaml, train.py and a test."""
    model = create(name)
    click.echo(f"{name}: {', '.join(FILES)}\n")
    click.echo(
        f"  scripts/serve {name}                    serve it here, with a local S3 server\n"
        f"  python -m pytest {name}                 run its test\n"
        f"  scripts/image --function {name}         build its image\n"
        f"  scalezero deploy {name}                 train, publish and deploy {model}"
    )
