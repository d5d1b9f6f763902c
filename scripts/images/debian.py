"""A base image of Debian's packages, downloaded from the machine's apt sources, without an image registry.

It makes two images. The build image has pip, a shell and the sources of locales. The image that functions run on has
Python, the libraries of ONNX Runtime, and trusted certificates. The packages are unpacked, not installed, so the image
has no dpkg and no shell.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from scripts.images.engines import Engine
from scripts.images.faults import CannotBuild

RUN: Final = ("ca-certificates", "libstdc++6", "netbase", "python3", "tzdata")
BUILD: Final = (*RUN, "coreutils", "dash", "findutils", "grep", "gzip", "libc-bin", "locales", "python3-venv", "sed")

# Files for interactive use and for package management. gconv: conversions between encodings, which neither Python nor
# ONNX Runtime uses; those of UTF-8 are in glibc.
UNUSED: Final = (
    "dev/*",
    "etc/apt",
    "etc/hostname",
    "etc/resolv.conf",
    "usr/bin/dpkg*",
    "usr/bin/openssl",
    "usr/bin/tar",
    "usr/lib/*/gconv",
    "usr/share/bash-completion",
    "usr/share/bug",
    "usr/share/doc",
    "usr/share/info",
    "usr/share/lintian",
    "usr/share/locale",
    "usr/share/man",
    "usr/share/perl5",
    "var/cache/*",
    "var/lib/apt",
    "var/lib/dpkg",
)
USERS: Final = "root:x:0:0::/root:/sbin/nologin\nnonroot:x:65532:65532::/nonexistent:/sbin/nologin\n"
GROUPS: Final = "root:x:0:\nnonroot:x:65532:\n"
CONTAINERFILE: Final = "FROM scratch\nADD base.tar /\nENV PATH=/usr/sbin:/usr/bin\n"
APT: Final = Path("/etc/apt")


def bases(engine: Engine, *, fresh: bool = False) -> dict[str, str]:
    """Return the build arguments BASE and BUILD_BASE; build missing images. Raises CannotBuild."""
    suite = _suite()
    made = {}
    for argument, name, packages in (("BASE", "python", RUN), ("BUILD_BASE", "python-build", BUILD)):
        made[argument] = f"dev.local/scalezero-{name}:{suite}-{key()}"
        if fresh or not engine.has(made[argument]):
            _make(engine, made[argument], suite, packages)
    return made


def key() -> str:
    """Return the key of the base images: a digest of this file. The versions of the packages are not part of it."""
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]


def _suite() -> str:
    """Return the codename of this machine's Debian. Raises CannotBuild without Debian, root or mmdebstrap."""
    release = platform.freedesktop_os_release()
    if release["ID"] != "debian":
        raise CannotBuild(f"the base debian can only be built on Debian, this is {release['ID']}; use --base IMAGE")
    if not shutil.which("mmdebstrap"):
        raise CannotBuild("mmdebstrap is missing; install it with apt-get install mmdebstrap, or use --base IMAGE")
    if os.geteuid() != 0:
        raise CannotBuild("the base debian can only be built by root; use --base IMAGE")
    return release["VERSION_CODENAME"]


def _make(engine: Engine, tag: str, suite: str, packages: tuple[str, ...]) -> None:
    with TemporaryDirectory(prefix="scalezero-base-") as folder:
        root, context = Path(folder, "root"), Path(folder, "context")
        context.mkdir()
        _unpack(root, suite, packages)
        _finish(root)
        with tarfile.open(context / "base.tar", "w") as archive:
            archive.add(root, arcname=".")
        containerfile = context / "Containerfile"
        containerfile.write_text(CONTAINERFILE)
        engine.build(tag, context, args={}, secrets={}, containerfile=containerfile, fresh=True)


def _unpack(root: Path, suite: str, packages: tuple[str, ...]) -> None:
    sources = [APT / "sources.list", *sorted((APT / "sources.list.d").glob("*.list"))]
    sources += sorted((APT / "sources.list.d").glob("*.sources"))
    used = [str(each) for each in sources if each.is_file() and each.stat().st_size]
    command = ["mmdebstrap", "--quiet", "--variant=extract", "--format=directory", f"--include={','.join(packages)}"]
    hooks = "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr"  # /bin is a link to /usr/bin
    done = subprocess.run([*command, hooks, suite, str(root), *used], stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise CannotBuild(f"mmdebstrap exited with {done.returncode}; see its output above")


def _finish(root: Path) -> None:
    """Do the work of the packages' install scripts (users, certificates, bytecode), and remove unused files.

    Raises CannotBuild if this machine cannot run the Python of the base.
    """
    for place in [found for pattern in UNUSED for found in root.glob(pattern)]:
        shutil.rmtree(place) if place.is_dir() and not place.is_symlink() else place.unlink()
    (root / "etc" / "passwd").write_text(USERS)
    (root / "etc" / "group").write_text(GROUPS)
    trusted = sorted((root / "usr" / "share" / "ca-certificates").rglob("*.crt"))
    (root / "etc" / "ssl" / "certs" / "ca-certificates.crt").write_text("".join(each.read_text() for each in trusted))
    libraries = [f"/{each.relative_to(root)}" for each in root.glob("usr/lib/python3.*")]
    compiling = ["python3", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", *libraries]
    done = subprocess.run(["chroot", str(root), *compiling], stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise CannotBuild(f"compileall, in the new base, exited with {done.returncode}; see its output above")
