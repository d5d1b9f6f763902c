"""Tests of the contents of an image: the sizes of its layers and packages."""

import io
import json
import tarfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from scripts.images import contents
from scripts.images.faults import CannotBuild

PACKAGES = "opt/scalezero/lib/python3.11/site-packages"
COPY = "/bin/sh -c #(nop) COPY dir:0123 in /opt"


def tar(files: Mapping[str, bytes]) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return written.getvalue()


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    history = [{"created_by": "ADD base"}, {"created_by": "ENV A=B", "empty_layer": True}, {"created_by": COPY}]
    image = {
        "manifest.json": json.dumps([{"Config": "config.json", "Layers": ["low.tar", "high.tar"]}]).encode(),
        "config.json": json.dumps({"history": history}).encode(),
        "low.tar": tar({"usr/lib/python3.11/os.py": b"12345", "usr/lib/libz.so": b"1"}),
        "high.tar": tar({f"./{PACKAGES}/numpy/a.py": b"123", f"{PACKAGES}/numpy.libs/b.so": b"4567"}),
    }
    path = tmp_path / "image.tar"
    path.write_bytes(tar(image))
    return path


def test_each_layer_has_its_instruction_and_the_sizes_of_its_packages(archive: Path) -> None:
    low, high = contents.layers(archive)
    assert (low.made_by, high.made_by) == ("ADD base", "COPY dir in /opt")
    assert low.parts == {contents.STANDARD_LIBRARY: 5, "/usr/lib": 1}
    assert high.parts == {"numpy": 7}


def test_the_table_starts_with_the_largest_parts_and_ends_with_the_total(archive: Path) -> None:
    lines = [line.split(maxsplit=1) for line in contents.tables(contents.layers(archive)).splitlines()]
    assert [name for _, name in lines] == [
        "layer",
        "ADD base",
        "COPY dir in /opt",
        "package or folder",
        "numpy",
        contents.STANDARD_LIBRARY,
        "/usr/lib",
        "total",
    ]


def test_the_smallest_parts_are_summed_in_one_row() -> None:
    many = Counter({f"/p/{index}": contents.MIB for index in range(contents.SHOWN + 3)})
    shown = contents.tables([contents.Layer(made_by="COPY", parts=many)])
    assert "\n 3.0  3 more\n" in shown
    assert shown.endswith(f"\n{contents.SHOWN + 3:.1f}  total")


@pytest.mark.parametrize(
    ("path", "owner"),
    [
        (f"{PACKAGES}/numpy/linalg/x.py", "numpy"),
        (f"{PACKAGES}/numpy.libs/libopenblas.so", "numpy"),
        (f"{PACKAGES}/six.py", "six"),
        (f"{PACKAGES}/numpy-2.1.0.dist-info/METADATA", "packages' metadata"),
        ("usr/lib/python3.11/email/utils.py", contents.STANDARD_LIBRARY),
        ("usr/local/lib/python3.12/site-packages/pip/x.py", "pip"),
        ("usr/lib/python3/dist-packages/apt.py", "apt"),
        ("usr/bin/python3.11", "/usr/bin"),
        ("./usr/lib/x86_64-linux-gnu/libc.so.6", "/usr/lib"),
        ("etc/passwd", "/etc/passwd"),
    ],
)
def test_a_file_belongs_to_its_package_or_its_folder(path: str, owner: str) -> None:
    assert contents.belongs_to(path) == owner


def test_the_error_for_an_archive_without_an_image_has_its_name(tmp_path: Path) -> None:
    other = tmp_path / "other.tar"
    other.write_bytes(tar({"notes.txt": b"no image"}))
    with pytest.raises(CannotBuild, match=r"other\.tar is not an image"):
        contents.layers(other)
