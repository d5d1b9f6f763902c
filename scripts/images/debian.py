"""A base of Debian's own packages, fetched by the machine's own apt sources: no image registry is asked.

Two images come of it. What packages are installed with (pip, a shell, the sources of locales) is in the one for the
build; the one that functions run on holds Python, what ONNX Runtime is linked to, and trusted certificates. The
packages are unpacked, not installed: there is no dpkg in the image that could remove them, and no shell.
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

# For people and for installing packages, none of which happens in an image. gconv: conversions between encodings that
# neither Python nor ONNX Runtime asks glibc for; those of UTF-8 are in glibc itself.
NEEDLESS: Final = (
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
    """The build arguments BASE and BUILD_BASE; made where they are missing. Raises CannotBuild."""
    suite = _suite()
    made = {}
    for argument, name, packages in (("BASE", "python", RUN), ("BUILD_BASE", "python-build", BUILD)):
        made[argument] = f"dev.local/scalezero-{name}:{suite}-{key()}"
        if fresh or not engine.has(made[argument]):
            _make(engine, made[argument], suite, packages)
    return made


def key() -> str:
    """What the bases depend on but for the packages' own versions: this file."""
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]


def _suite() -> str:
    """The name of this machine's Debian. Raises CannotBuild where it has none, or lacks what makes a base."""
    release = platform.freedesktop_os_release()
    if release["ID"] != "debian":
        raise CannotBuild(
            f"a base of Debian's packages is made on Debian, this is {release['ID']}; --base names another"
        )
    if not shutil.which("mmdebstrap"):
        raise CannotBuild("mmdebstrap is missing: apt-get install mmdebstrap, or name a base by --base")
    if os.geteuid() != 0:
        raise CannotBuild("a base of Debian's packages is made by root; --base names another")
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
    hooks = "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr"  # /bin is /usr/bin, as wherever Debian is installed
    done = subprocess.run([*command, hooks, suite, str(root), *used], stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise CannotBuild(f"mmdebstrap exited with {done.returncode}; what it said stands above")


def _finish(root: Path) -> None:
    """Do what the packages' own scripts would: users, certificates, bytecode; and drop what nobody needs.

    Raises CannotBuild where this machine cannot run the Python in there.
    """
    for place in [found for pattern in NEEDLESS for found in root.glob(pattern)]:
        shutil.rmtree(place) if place.is_dir() and not place.is_symlink() else place.unlink()
    (root / "etc" / "passwd").write_text(USERS)
    (root / "etc" / "group").write_text(GROUPS)
    trusted = sorted((root / "usr" / "share" / "ca-certificates").rglob("*.crt"))
    (root / "etc" / "ssl" / "certs" / "ca-certificates.crt").write_text("".join(each.read_text() for each in trusted))
    libraries = [f"/{each.relative_to(root)}" for each in root.glob("usr/lib/python3.*")]
    compiling = ["python3", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", *libraries]
    done = subprocess.run(["chroot", str(root), *compiling], stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise CannotBuild(f"compileall, in the new base, exited with {done.returncode}; what it said stands above")
