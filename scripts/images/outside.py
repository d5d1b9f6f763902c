"""The access of a build to the package index: this machine's pip settings and certificates.

The build gets pip's settings (files and PIP_* variables) and the trusted certificates as secrets: files that a step can
read, and that are not in any layer.
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

CA_INSIDE: Final = "/run/secrets/ca"  # the path at which the Containerfile mounts the certificates
# The settings of the package index. Other settings are preferences, or paths that do not exist in the build.
INDEX_SETTINGS: Final = frozenset(
    {"default-timeout", "extra-index-url", "index-url", "proxy", "retries", "timeout", "trusted-host"}
)
CERTIFICATES: Final = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")  # in pip's own order


@contextmanager
def secrets() -> Iterator[Mapping[str, Path]]:
    """Provide the secrets: `pip`, a pip.conf, and `ca`, the certificates if this machine has its own."""
    settings = parse(_pip_config())
    bundle = certificates(settings, os.environ)
    with TemporaryDirectory(prefix="scalezero-image-") as folder:
        config = Path(folder, "pip.conf")
        config.write_text(pip_conf(settings, certificate=CA_INSIDE if bundle else None))
        yield {"pip": config, **({"ca": bundle} if bundle else {})}


def parse(lines: Iterable[str]) -> dict[str, str]:
    """Read the output of `pip config list`: one NAME='VALUE' per line. Variables (:env:) override files."""
    split = (line.partition("=") for line in lines if "=" in line)
    pairs = [(name.rpartition("."), ast.literal_eval(value)) for name, _, value in split]
    pairs.sort(key=lambda pair: pair[0][0] == ":env:")
    return {name: str(value) for (_, _, name), value in pairs}


def pip_conf(settings: Mapping[str, str], *, certificate: str | None) -> str:
    """Return the pip.conf of the build."""
    kept = {name: value for name, value in sorted(settings.items()) if name in INDEX_SETTINGS}
    if certificate:
        kept["cert"] = certificate
    # The lines after the first of a value are indented.
    return "\n".join(
        ["[global]", *(f"{name} = {value.replace(chr(10), chr(10) + '  ')}" for name, value in kept.items()), ""]
    )


def certificates(settings: Mapping[str, str], environ: Mapping[str, str]) -> Path | None:
    """Return the certificate bundle that this machine is configured to trust, or None if pip uses its own."""
    named = settings.get("cert") or next(filter(None, map(environ.get, CERTIFICATES)), None)
    return Path(named) if named and Path(named).is_file() else None


def _pip_config() -> list[str]:
    command = [sys.executable, "-m", "pip", "config", "list"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
