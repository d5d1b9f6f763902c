"""The programs that build images: buildah, podman and docker, with one Containerfile and mostly the same options."""

import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final, Self

from scripts.images.faults import CannotBuild

# Programs without a daemon come first. With `--isolation chroot`, the steps of a build start no containers, so a build
# also works inside a container.
BUILD: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "buildah": ("build", "--isolation", "chroot", "--layers"),
        "podman": ("build", "--isolation", "chroot", "--layers"),
        "docker": ("build",),
    }
)
SAVE: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "buildah": ("push", "--quiet", "{tag}", "docker-archive:{archive}:{tag}"),
        "podman": ("save", "--quiet", "--format", "docker-archive", "--output", "{archive}", "{tag}"),
        "docker": ("save", "--output", "{archive}", "{tag}"),
    }
)
INSPECT: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "buildah": ("inspect", "--type", "image"),
        "podman": ("image", "inspect"),
        "docker": ("image", "inspect"),
    }
)


@dataclass(frozen=True, slots=True)
class Engine:
    """One of the programs."""

    name: str

    @classmethod
    def detect(cls) -> Self:
        """Return the first engine that is installed. Raises CannotBuild if there is none."""
        name = next(filter(shutil.which, BUILD), None)
        if name is None:
            raise CannotBuild(f"none of {', '.join(BUILD)} is installed; on Debian: apt-get install buildah")
        return cls(name)

    def build(
        self,
        tag: str,
        context: Path,
        *,
        args: Mapping[str, str],
        secrets: Mapping[str, Path],
        containerfile: Path,
        fresh: bool,
    ) -> None:
        """Build an image, with progress on standard error; `fresh` ignores the cache. Raises CannotBuild."""
        given = [f"--build-arg={name}={value}" for name, value in args.items()]
        hidden = [f"--secret=id={name},src={path}" for name, path in secrets.items()]
        no_cache = ["--no-cache"] if fresh else []
        named = ["--tag", tag, "--file", str(containerfile), str(context)]
        self._run([*BUILD[self.name], *no_cache, *given, *hidden, *named])

    def has(self, tag: str) -> bool:
        """Whether this machine has an image with this tag."""
        done = subprocess.run([self.name, *INSPECT[self.name], tag], capture_output=True, check=False)
        return done.returncode == 0

    def save(self, tag: str, archive: Path) -> None:
        """Write an image to an archive in the format of `docker save`, which all engines have. Raises CannotBuild."""
        self._run([each.format(tag=tag, archive=archive) for each in SAVE[self.name]])

    def _run(self, arguments: Sequence[str]) -> None:
        done = subprocess.run([self.name, *arguments], stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)
        if done.returncode:
            raise CannotBuild(f"{self.name} {arguments[0]} exited with {done.returncode}; see its output above")
