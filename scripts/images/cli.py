"""scripts/image: builds the base and the image, keeps an archive, lists its contents, loads it into the cluster."""

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
from scripts.images.context import build_context, find_function, repository_functions
from scripts.images.engines import Engine
from scripts.images.faults import CannotBuild
from scripts.images.fingerprint import key
from scripts.images.outside import secrets

ROOT: Final = Path(__file__).resolve().parent.parent.parent
DEBIAN: Final = "debian"
CLUSTER: Final = ROOT / "scripts" / "cluster"
EXTRAS: Final = ("openvino", "wasm")  # of pyproject.toml; each makes another flavour of the image


def default_tag(functions: Sequence[Path] = (), extras: Sequence[str] = ()) -> str:
    """Return the name of the image: for one function the image in its func.yaml, otherwise dev.local/NAME:VERSION.

    The names of the extras follow, such as -openvino. Knative does not resolve tags of dev.local in a registry.
    """
    return "-".join((_plain_tag(functions), *extras))


def _plain_tag(functions: Sequence[Path]) -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    if not functions:
        return f"dev.local/{project['name']}:{project['version']}"
    if len(functions) == 1 and (functions[0] / FUNCTION).is_file():
        named = read_function(functions[0]).function.image
        if named:
            return named
    return f"dev.local/{functions[0].name.lower().replace('_', '-')}:{project['version']}"


def cache() -> Path:
    """Return the folder of the archives, outside the repository."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "scalezero-image"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--base", default=DEBIAN, show_default=True, help="debian (built from Debian's packages), or an image.")
@click.option(
    "--function",
    "names",
    multiple=True,
    metavar="NAME",
    help="Only this function: a folder, or the name of one in functions/. Repeatable.",
)
@click.option(
    "--with",
    "extras",
    multiple=True,
    type=click.Choice(EXTRAS),
    help="openvino: OpenVINO, for CPUs by Intel. wasm: WebAssembly guests. The default name ends with theirs.",
)
@click.option(
    "--tag", help="The image's name.  [default: the image of the function's func.yaml, or dev.local/NAME:VERSION]"
)
@click.option("--archive", type=click.Path(dir_okay=False, path_type=Path), help="Also write the image to this file.")
@click.option("--load/--no-load", default=True, show_default=True, help="Load it into the cluster of scripts/cluster.")
@click.option("--fresh", is_flag=True, help="Build again without the cache, to get newer packages.")
def main(
    *,
    base: str,
    names: tuple[str, ...],
    extras: tuple[str, ...],
    tag: str | None,
    archive: Path | None,
    load: bool,
    fresh: bool,
) -> None:
    """Build an image of the runtime with functions, list its contents and load it into the cluster.

    Without --function the image has the functions in functions/ that need no packages of their own. The packages of a
    function are those of its requirements.txt, or of the script block (PEP 723) of its main.py. The build imports each
    function, without network.

    Without changes, the archive comes from the cache. buildah, podman or docker builds the image. The base debian needs
    root and mmdebstrap, and no registry; another base, such as python:3.12-slim, is pulled.
    """
    try:
        chosen = [find_function(ROOT, name) for name in names]
        extras = tuple(sorted(set(extras)))
        tag = tag or default_tag(chosen, extras)
        with build_lock():
            plain, others = repository_functions(ROOT)
            made = build(base, tag, chosen or plain, extras=extras, fresh=fresh)
            for each in [] if chosen else others:
                click.echo(f"{each.name} needs packages of its own; build its image with --function {each.name}")
            click.echo(f"{tag}, {made.stat().st_size / contents.MIB:.0f} MiB: {made}\n")
            click.echo(contents.tables(contents.layers(made)))
            if archive:
                shutil.copyfile(made, archive)
            if load:
                load_into_cluster(made)
    except (CannotBuild, BadManifest, OSError) as error:
        raise click.ClickException(str(error)) from error


def build(base: str, tag: str, functions: Sequence[Path], *, extras: Sequence[str] = (), fresh: bool = False) -> Path:
    """Build the image if its inputs changed; return its archive. Call it under `build_lock`. Raises CannotBuild."""
    with build_context(ROOT, functions) as context:
        inputs = key(context, base, tag, debian.key(), *extras)
        archive = cache() / f"{tag.rpartition('/')[2].replace(':', '-')}-{inputs}.tar"
        if fresh or not archive.exists():
            make(base, tag, context, archive, extras=extras, fresh=fresh)
    return archive


@contextmanager
def build_lock() -> Iterator[None]:
    """Hold the build lock. A build that waits for another one often finds the archive that it needs."""
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def make(base: str, tag: str, context: Path, archive: Path, *, extras: Sequence[str], fresh: bool) -> None:
    """Build the image, and the base `debian` if it is missing, and write the archive. Raises CannotBuild."""
    engine = Engine.detect()
    bases = debian.bases(engine, fresh=fresh) if base == DEBIAN else {"BASE": base}
    with secrets() as hidden:
        containerfile = context / "Containerfile"
        args = {**bases, "EXTRAS": ",".join(("serve", "resources", *extras))}
        engine.build(tag, context, args=args, secrets=hidden, containerfile=containerfile, fresh=fresh)
    save(engine, tag, archive)


def save(engine: Engine, tag: str, archive: Path) -> None:
    """Write the archive of an image and remove its earlier archives. A partial archive never has the final name."""
    part = archive.with_suffix(".part")
    part.unlink(missing_ok=True)
    engine.save(tag, part)
    name = archive.name.rpartition("-")[0]
    for old in archive.parent.glob(f"{name}-*.tar"):
        if old.name.rpartition("-")[0] == name:  # not that of another flavour
            old.unlink()
    part.rename(archive)


def load_into_cluster(archive: Path) -> None:
    """Load the archive into the cluster. Raises CannotBuild."""
    if not CLUSTER.exists() or subprocess.run([CLUSTER, "load", archive], check=False).returncode:
        raise CannotBuild(
            "the image is built, but scripts/cluster could not load it; start the cluster with scripts/cluster up, or "
            "use --no-load"
        )
