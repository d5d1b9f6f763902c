"""Tests of model archives: the choice of the model, and the limits for hostile archives."""

import contextlib
import gzip
import io
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.artifacts import archive
from runtime.artifacts.archive import Manifest, manifest_of, model_entry, read_manifest
from runtime.artifacts.archive_files import ArchiveEntry, open_archive
from runtime.errors import InvalidModel
from tests.archives import MANIFEST, manifest, tarred, unpacked, zipped

MIB = 1 << 20
HANDLER = b"raise SystemExit('executed')"


def read_entry(path: Path, name: str) -> bytes:
    pieces: list[bytes] = []
    with open_archive(path, uri="u") as opened:
        archive.copy_entry(opened, name, pieces.append, uri="u")
    return b"".join(pieces)


@pytest.mark.parametrize("make", [zipped, tarred])
def test_the_manifest_and_the_model_of_an_archive_are_read(make: object, tmp_path: Path) -> None:
    path = make(tmp_path / "a.mar", {"m.onnx": b"model" * MIB, "handler.py": HANDLER})  # type: ignore[operator]
    assert manifest_of(path) == Manifest("named", "1.5", "m.onnx")
    with open_archive(path, uri="u") as opened:
        assert {*opened.entries} == {"m.onnx", "handler.py", MANIFEST}
        assert model_entry([*opened.entries], read_manifest(opened, uri="u"), uri="u") == "m.onnx"
    assert read_entry(path, "m.onnx") == b"model" * MIB


def test_the_manifest_and_the_model_of_a_folder_are_read(tmp_path: Path) -> None:
    folder = unpacked(tmp_path / "named", {"m.onnx": b"model", "handler.py": HANDLER})
    assert manifest_of(folder) == Manifest("named", "1.5", "m.onnx")
    assert archive.model_in_folder(folder, uri="u")[0] == folder / "m.onnx"


def test_an_archive_without_a_manifest_has_an_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "a.mar"
    with zipfile.ZipFile(path, "w") as output:
        output.writestr("sub/", b"")
        output.writestr("m.onnx", b"model")
    assert manifest_of(path) == Manifest()


@pytest.mark.parametrize(
    ("names", "serialized", "model"),
    [
        (["handler.py", "m.onnx"], None, "m.onnx"),
        (["handler.py", "m.ONNX"], "weights.pt", "m.ONNX"),
        (["a.onnx", "b.onnx"], "b.onnx", "b.onnx"),
        (["sub/a.ort"], None, "sub/a.ort"),
    ],
)
def test_the_model_is_the_serialized_file_or_the_only_one(names: list[str], serialized: str | None, model: str) -> None:
    assert model_entry(names, Manifest(file=serialized), uri="u") == model


def test_the_error_for_an_archive_without_an_onnx_file_has_its_contents_and_the_next_step() -> None:
    with pytest.raises(InvalidModel) as raised:
        model_entry(["model.pt", "handler.py"], Manifest(file="model.pt"), uri="s3://b/m.mar")
    assert str(raised.value) == (
        "s3://b/m.mar: the archive contains no ONNX file; it contains 'model.pt', 'handler.py'; its serializedFile "
        "is 'model.pt'. Python in an archive is never run: export the model with torch.onnx.export, and archive the "
        ".onnx file with torch-model-archiver --serialized-file"
    )


def test_the_error_for_several_onnx_files_has_their_names() -> None:
    with pytest.raises(InvalidModel, match=r"several ONNX files: 'a\.onnx', 'b\.onnx'; expected one"):
        model_entry(["a.onnx", "b.onnx"], Manifest(file="c.pt"), uri="u")
    with pytest.raises(InvalidModel, match=r"it contains nothing\. Python"):
        model_entry([], Manifest(), uri="u")
    with pytest.raises(InvalidModel, match="and 90 more"):
        model_entry([str(number) for number in range(100)], Manifest(), uri="u")


@pytest.mark.parametrize("text", [b"{", b"[]", b'{"model": 1}', b"[" * 100_000, b" " * (MIB + 1)])
def test_an_invalid_manifest_is_refused(text: bytes, tmp_path: Path) -> None:
    with pytest.raises(InvalidModel, match="MANIFEST"):
        manifest_of(zipped(tmp_path / "a.mar", {"m.onnx": b"x"}, manifest_text=text))


def test_fields_of_a_manifest_that_are_not_text_count_as_missing(tmp_path: Path) -> None:
    text = b'{"model": {"modelName": 1, "modelVersion": "", "serializedFile": null}}'
    assert manifest_of(zipped(tmp_path / "a.mar", {"m.onnx": b"x"}, manifest_text=text)) == Manifest()


def test_a_file_that_is_not_an_archive_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"hello", b"PK\3\4", b"PK\3\4" + b"\0" * 200, gzip.compress(b"no tar"), b"\x1f\x8b\x08broken"):
        (tmp_path / "a.mar").write_bytes(content)
        with pytest.raises(InvalidModel, match="not a model archive"):
            manifest_of(tmp_path / "a.mar")


@given(st.data())
@settings(deadline=None)  # it writes files
def test_a_damaged_archive_is_refused_or_read(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("broken")
    make = data.draw(st.sampled_from([zipped, tarred]))
    path = make(folder / "a.mar", {"m.onnx": b"model" * 50})  # type: ignore[operator]
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    with contextlib.suppress(InvalidModel), open_archive(path, uri="u") as opened:
        for name in opened.entries:
            archive.copy_entry(opened, name, lambda _: None, uri="u")


def test_an_entry_with_a_large_compression_ratio_is_refused_before_it_is_inflated(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.mar", {"m.onnx": b"\0" * (65 * MIB)})
    with open_archive(path, uri="u") as opened, pytest.raises(InvalidModel, match="at most 100 times its size"):
        archive.copy_entry(opened, "m.onnx", lambda _: pytest.fail("inflated"), uri="u")


def test_a_tar_file_with_a_large_compression_ratio_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidModel, match="inflates to more than 100 times its size"):
        manifest_of(tarred(tmp_path / "a.mar", {"m.onnx": b"\0" * (65 * MIB)}))


def test_a_tar_file_with_too_many_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidModel, match="more than 10000 files"):
        manifest_of(tarred(tmp_path / "a.mar", {f"f{number}": b"" for number in range(10_001)}))


def test_a_tar_file_with_a_large_header_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.mar", "w:gz") as output:
        info = tarfile.TarInfo("long")
        info.type, info.size = tarfile.GNUTYPE_LONGNAME, 2 * MIB
        output.addfile(info, io.BytesIO(b"\0" * info.size))
    with pytest.raises(InvalidModel, match="a header of"):
        manifest_of(tmp_path / "a.mar")


def test_a_tar_file_with_too_many_headers_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.mar", "w:gz", format=tarfile.PAX_FORMAT) as output:
        for number in range(20):
            info = tarfile.TarInfo(f"f{number}")
            info.pax_headers = {"comment": "x" * (MIB - 1000)}
            output.addfile(info)
    with pytest.raises(InvalidModel, match="inflates to more than 100 times its size"):
        manifest_of(tmp_path / "a.mar")


def test_links_and_devices_in_a_tar_file_are_ignored(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.mar", "w:gz") as output:
        for name, kind in (("m.onnx", tarfile.SYMTYPE), ("n.onnx", tarfile.LNKTYPE), ("d", tarfile.CHRTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            output.addfile(info)
    with open_archive(tmp_path / "a.mar", uri="u") as opened:
        assert opened.entries == {}


@pytest.mark.parametrize("zip64", [False, True])
def test_a_zip_file_with_a_large_central_directory_is_refused_before_it_is_read(tmp_path: Path, *, zip64: bool) -> None:
    content = zipped(tmp_path / "a.mar", {"m.onnx": b"x"}).read_bytes()
    end = content.rfind(b"PK\5\6")
    huge = 17 * MIB
    head, record = content[:end], bytearray(content[end:])
    if zip64:
        extra = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 2, 2, huge, 0)
        head += extra + struct.pack("<4sLQL", b"PK\6\7", 0, end, 1)
    else:
        struct.pack_into("<L", record, 12, huge)
    (tmp_path / "a.mar").write_bytes(head + record)
    with pytest.raises(InvalidModel, match="list of files has 17825792 bytes"):
        manifest_of(tmp_path / "a.mar")


def test_an_entry_with_another_compression_method_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidModel, match="stored or deflated"):
        manifest_of(zipped(tmp_path / "a.mar", {"m.onnx": b"x"}, method=zipfile.ZIP_LZMA))


def test_an_entry_that_is_shorter_than_declared_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.mar", {"m.onnx": b"x" * 100}, manifest_text=manifest())
    with open_archive(path, uri="u") as opened:
        opened.entries["m.onnx"] = ArchiveEntry(110, 110)
        with pytest.raises(InvalidModel, match="cut off: 10 of 110 bytes"):
            archive.copy_entry(opened, "m.onnx", lambda _: None, uri="u")
