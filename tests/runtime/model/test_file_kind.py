"""The error for a file that is not a model names its kind; tested with real files where possible."""

import bz2
import gzip
import io
import lzma
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import InvalidModel
from runtime.model import file_kind
from runtime.model.session import Session
from tests import models

SAFETENSORS = b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'


def zipped(name: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, b"...")
    return buffer.getvalue()


def tarred() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("model.onnx"))
    return buffer.getvalue()


def saved(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


KINDS = [
    (b"", "an empty file"),
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "a Git LFS pointer"),
    (gzip.compress(b"model", mtime=0), "a gzip archive"),
    (bz2.compress(b"model"), "a bzip2 archive"),
    (lzma.compress(b"model"), "an xz archive"),
    (tarred(), "a tar archive"),
    (zipped("model.onnx"), "a zip archive"),
    (zipped("archive/data.pkl"), "a PyTorch file"),
    *((pickle.dumps({"a": 1}, protocol=protocol), "a Python pickle") for protocol in (2, 3, 4, 5)),
    (b"\x80\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "a PyTorch file"),
    (b"GGUF\x03\x00\x00\x00", "a GGUF model"),
    (len(SAFETENSORS).to_bytes(8, "little") + SAFETENSORS + b"\x00" * 4, "a safetensors file"),
    (b"\x1c\x00\x00\x00TFL3" + b"\x00" * 40, "a TensorFlow Lite model"),
    (b"\x18\x00\x00\x00ORTM" + b"\x00" * 40, "a model in ONNX Runtime's own format"),
    (b"\x08\x01\x12\x9a\x02*\x07serve\x12", "a TensorFlow SavedModel"),
    (b"\x89HDF\r\n\x1a\n\x00", "an HDF5 file"),
    (saved(np.zeros(3)), "a NumPy array"),
    (b"<!DOCTYPE html>\n<html><body>Sign in</body></html>", "an HTML page"),
    (b"\xef\xbb\xbf  <HTML>", "an HTML page"),
    (b'<?xml version="1.0"?><Error><Code>NoSuchKey</Code></Error>', "an XML document"),
    (b'{"format": "onnx"}', "a JSON document"),
    (b"404: Not Found", "a text file"),
    (("ä" * file_kind.HEAD).encode()[: file_kind.HEAD - 1], "a text file"),
]


@pytest.mark.parametrize(("content", "kind"), KINDS)
def test_the_error_has_the_kind_of_the_file_and_the_next_step(tmp_path: Path, content: bytes, kind: str) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(InvalidModel) as refused:
        Session(path, uri="s3://models/m.onnx", name="m", threads=1)
    message = str(refused.value)
    assert message.startswith(f"s3://models/m.onnx: it is not an ONNX model but {kind}")
    assert ";" in message


@pytest.mark.parametrize(
    "content", [b"\x00" * 1000, b"\xff\xfe\xfd", b"\x80", b"\x08\x07\x12", b"caf\xe9 of Latin-1, long"]
)
def test_for_an_unknown_kind_the_error_is_that_of_onnx_runtime(tmp_path: Path, content: bytes) -> None:
    assert file_kind.kind_of(content) is None
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(InvalidModel) as refused:
        Session(tmp_path / "m.onnx", uri="m", name="m", threads=1)
    assert "not an ONNX model but" not in str(refused.value)


def test_for_an_unreadable_path_the_error_is_that_of_onnx_runtime(tmp_path: Path) -> None:
    with pytest.raises(InvalidModel, match="m: "):
        Session(tmp_path / "missing.onnx", uri="m", name="m", threads=1)


def test_a_damaged_model_has_no_known_kind(tmp_path: Path) -> None:
    model = onnx.load(models.lookup(tmp_path / "m.onnx", entries=1000)).SerializeToString()
    assert file_kind.kind_of(model[: file_kind.HEAD]) is None


@given(head=st.binary(max_size=300))
def test_any_bytes_can_be_examined(head: bytes) -> None:
    kind = file_kind.kind_of(head)
    assert kind is None or ";" in kind or "," in kind
