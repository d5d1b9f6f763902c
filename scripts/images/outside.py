"""How this machine reaches its package index, for a build that sees nothing of the machine.

What pip is told here (files and PIP_*) and the certificates that are trusted here go into the build as secrets: files
that a step sees and that no layer keeps.
"""

import ast
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

CA_INSIDE: Final = "/run/secrets/ca"  # where the Containerfile mounts it
# What says where packages come from. The rest is a person's taste, or a path that the build does not have.
ROADS: Final = frozenset(
    {"default-timeout", "extra-index-url", "index-url", "proxy", "retries", "timeout", "trusted-host"}
)
CERTIFICATES: Final = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")  # in pip's own order


@contextmanager
def secrets() -> Iterator[Mapping[str, Path]]:
    """The secrets `pip`, a pip.conf, and `ca`, the certificates, where this machine has its own."""
    told = parse(_pip_config())
    bundle = certificates(told, os.environ)
    with TemporaryDirectory(prefix="scalezero-image-") as folder:
        config = Path(folder, "pip.conf")
        config.write_text(pip_conf(told, certificate=CA_INSIDE if bundle else None))
        yield {"pip": config, **({"ca": bundle} if bundle else {})}


def parse(lines: Iterable[str]) -> dict[str, str]:
    """Read what `pip config list` prints: one NAME='VALUE' a line, the variables (:env:) above all files."""
    split = (line.partition("=") for line in lines if "=" in line)
    pairs = [(name.rpartition("."), ast.literal_eval(value)) for name, _, value in split]
    pairs.sort(key=lambda pair: pair[0][0] == ":env:")
    return {name: str(value) for (_, _, name), value in pairs}


def pip_conf(told: Mapping[str, str], *, certificate: str | None) -> str:
    """Write the pip.conf of the build."""
    kept = {name: value for name, value in sorted(told.items()) if name in ROADS}
    if certificate:
        kept["cert"] = certificate
    # A value of several lines goes on where the line is indented.
    return "\n".join(
        ["[global]", *(f"{name} = {value.replace(chr(10), chr(10) + '  ')}" for name, value in kept.items()), ""]
    )


def certificates(told: Mapping[str, str], environ: Mapping[str, str]) -> Path | None:
    """The bundle that this machine trusts, where it is told to trust one; None: whatever pip brings."""
    named = told.get("cert") or next(filter(None, map(environ.get, CERTIFICATES)), None)
    return Path(named) if named and Path(named).is_file() else None


def _pip_config() -> list[str]:
    command = [sys.executable, "-m", "pip", "config", "list"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
