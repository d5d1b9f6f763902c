"""scripts/image: makes the base, builds the image on it, keeps an archive, lists its contents, loads it."""

import fcntl
import os
import shutil
import subprocess
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click

from knative.resources import BadManifest
from knative.resources.func_yaml import read_function
from runtime.settings import FUNCTION
from scripts.images import contents, debian
from scripts.images.context import find, shipped, staged
from scripts.images.engines import Engine
from scripts.images.faults import CannotBuild
from scripts.images.fingerprint import key
from scripts.images.outside import secrets

ROOT: Final = Path(__file__).resolve().parent.parent.parent
DEBIAN: Final = "debian"
CLUSTER: Final = ROOT / "scripts" / "cluster"


def default_tag(functions: Sequence[Path] = ()) -> str:
    """The name of the image: of one function the name in its func.yaml, else dev.local/NAME:VERSION.

    Knative never asks a registry about dev.local.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    if not functions:
        return f"dev.local/{project['name']}:{project['version']}"
    if len(functions) == 1 and (functions[0] / FUNCTION).is_file():
        named = read_function(functions[0]).function.image
        if named:
            return named
    return f"dev.local/{functions[0].name.lower().replace('_', '-')}:{project['version']}"


def cache() -> Path:
    """Where archives are kept, outside the tree."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "scalezero-image"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--base", default=DEBIAN, show_default=True, help="debian: made here of Debian's packages. Or an image.")
@click.option("--function", "names", multiple=True, metavar="NAME", help="Only this function: a folder. Repeatable.")
@click.option(
    "--tag", help="The image's name.  [default: the image of the function's func.yaml, or dev.local/NAME:VERSION]"
)
@click.option("--archive", type=click.Path(dir_okay=False, path_type=Path), help="Write the image here, too.")
@click.option("--load/--no-load", default=True, show_default=True, help="Load it into the cluster of scripts/cluster.")
@click.option("--fresh", is_flag=True, help="Build even what has not changed here, for newer packages of others.")
def main(*, base: str, names: tuple[str, ...], tag: str | None, archive: Path | None, load: bool, fresh: bool) -> None:
    """Build an image of the runtime with functions, print what fills it and load it into the cluster.

    Without --function the image has all functions in functions/. Packages that a function needs are those of its
    requirements.txt, or of the script block (PEP 723) of its main.py. The build imports each function.

    Quick where nothing changed. buildah builds it, or podman, or docker. The base of Debian's packages needs root and
    mmdebstrap, and no registry; another base (python:3.12-slim) is pulled by the program that builds.
    """
    try:
        chosen = [find(ROOT, name) for name in names]
        tag = tag or default_tag(chosen)
        with alone():
            made = build(base, tag, chosen or shipped(ROOT), fresh=fresh)
            click.echo(f"{tag}, {made.stat().st_size / contents.MIB:.0f} MiB: {made}\n")
            click.echo(contents.tables(contents.layers(made)))
            if archive:
                shutil.copyfile(made, archive)
            if load:
                load_into_cluster(made)
    except (CannotBuild, BadManifest, OSError) as error:
        raise click.ClickException(str(error)) from error


def build(base: str, tag: str, functions: Sequence[Path], *, fresh: bool = False) -> Path:
    """Build the image where its sources changed; return its archive, as long as one is alone. Raises CannotBuild."""
    with staged(ROOT, functions) as context:
        archive = cache() / f"{tag.rpartition('/')[2].replace(':', '-')}-{key(context, base, tag, debian.key())}.tar"
        if fresh or not archive.exists():
            make(base, tag, context, archive, fresh=fresh)
    return archive


@contextmanager
def alone() -> Iterator[None]:
    """Wait for whoever builds already: what it makes is most often what is wanted, and else takes its place."""
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def make(base: str, tag: str, context: Path, archive: Path, *, fresh: bool) -> None:
    """Build the image, with the base where that is ours to make, and keep it. Raises CannotBuild."""
    engine = Engine.found()
    bases = debian.bases(engine, fresh=fresh) if base == DEBIAN else {"BASE": base}
    with secrets() as hidden:
        containerfile = context / "Containerfile"
        engine.build(tag, context, args=bases, secrets=hidden, containerfile=containerfile, fresh=fresh)
    save(engine, tag, archive)


def save(engine: Engine, tag: str, archive: Path) -> None:
    """Keep an image as an archive, in the place of earlier ones of its name. Half of one is never found there."""
    part = archive.with_suffix(".part")
    part.unlink(missing_ok=True)
    engine.save(tag, part)
    for old in archive.parent.glob(f"{archive.name.rpartition('-')[0]}-*.tar"):
        old.unlink()
    part.rename(archive)


def load_into_cluster(archive: Path) -> None:
    """Hand the archive to the cluster. Raises CannotBuild."""
    if not CLUSTER.exists() or subprocess.run([CLUSTER, "load", archive], check=False).returncode:
        raise CannotBuild(
            "the image is built, but not in a cluster: scripts/cluster up starts one; --no-load leaves it"
        )
