"""Recognition of files that are not ONNX models, by their first bytes. Pure.

Used only after ONNX Runtime has failed to open the file: protobuf has no magic number, so these functions cannot detect
that a file is a model.
"""

from typing import Final

HEAD: Final = 512  # bytes that suffice

_CONVERT: Final = "convert it to ONNX"
_MAGIC: Final = (
    (
        b"version https://git-lfs.github.com/spec/",
        "a Git LFS pointer",
        "run `git lfs pull` and publish the file itself",
    ),
    (b"\x1f\x8b", "a gzip archive", "unpack it and publish the .onnx file"),
    (b"BZh", "a bzip2 archive", "unpack it and publish the .onnx file"),
    (b"\xfd7zXZ\x00", "an xz archive", "unpack it and publish the .onnx file"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it and publish the .onnx file"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive", "unpack it and publish the .onnx file"),
    (b"GGUF", "a GGUF model (llama.cpp)", "publish an ONNX export of the model"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes models", f"{_CONVERT}, for example with tf2onnx"),
    (b"\x93NUMPY", "a NumPy array", "publish the model, not its data"),
    (b"%PDF-", "a PDF document", "publish the .onnx file"),
    (b"\x7fELF", "a program or a shared library", "publish the .onnx file"),
    (b"\x80\x8a", "a PyTorch file of an old format", f"{_CONVERT} with torch.onnx.export"),
    (b"binf", "an XGBoost model", f"{_CONVERT} with onnxmltools"),
    (b"tree\nversion=", "a LightGBM model", f"{_CONVERT} with onnxmltools"),
    (b"CBM1", "a CatBoost model", f"{_CONVERT} with save_model(format='onnx')"),
)
_PICKLE_FIRST: Final = 0x80
_PICKLE_PROTOCOLS: Final = range(2, 6)
_LARGEST_HEADER: Final = 100_000_000  # bytes; the limit of safetensors itself


def kind_of(head: bytes) -> str | None:
    """Return the kind of the file and the next step, from its first `HEAD` bytes; None: the kind is unknown."""
    if not head:
        return "an empty file; publish it again"
    for magic, name, step in _MAGIC:
        if head.startswith(magic):
            return f"{name}; {step}"
    return _container(head) or _text(head)


def _container(head: bytes) -> str | None:
    """Recognize formats that do not have fixed first bytes."""
    is_zip = head.startswith(b"PK\x03\x04")
    formats = (
        (
            is_zip and (b"/data.pkl" in head or b"/byteorder" in head),
            f"a PyTorch file; {_CONVERT} with torch.onnx.export",
        ),
        (is_zip, "a zip archive; unpack it and publish the .onnx file, or rename a TorchServe archive to .mar"),
        (head[4:8] == b"TFL3", f"a TensorFlow Lite model; {_CONVERT} with tf2onnx"),
        (head[4:8] == b"ORTM", "a model in ONNX Runtime's own format of a different version; publish the .onnx file"),
        (head[257:262] == b"ustar", "a tar archive; unpack it and publish the .onnx file"),
        (_is_pickle(head), f"a Python pickle; {_CONVERT}, for example with skl2onnx"),
        (_is_safetensors(head), "a safetensors file, which has only weights; publish an ONNX export of the model"),
        (head.startswith(b"\x08\x01\x12") and b"serve" in head, f"a TensorFlow SavedModel; {_CONVERT} with tf2onnx"),
    )
    return next((kind for is_kind, kind in formats if is_kind), None)


def _is_pickle(head: bytes) -> bool:
    return head[0] == _PICKLE_FIRST and len(head) > 1 and head[1] in _PICKLE_PROTOCOLS


def _is_safetensors(head: bytes) -> bool:
    return head[8:9] == b"{" and 0 < int.from_bytes(head[:8], "little") <= _LARGEST_HEADER


def _text(head: bytes) -> str | None:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<!doctype html", b"<html")):
        return "an HTML page, perhaps a login page or an error page; download the file itself"
    if text.startswith((b"<?xml", b"<error")):
        return "an XML document, perhaps an error of the store; download the file itself"
    if text.startswith((b"{", b"[")):
        return "a JSON document; publish the .onnx file"
    if text and all(byte in b"\t\r\n\x1b" or byte >= 0x20 for byte in head) and _is_utf8(head):  # noqa: PLR2004 - the first printable character
        return "a text file; publish the .onnx file"
    return None


def _is_utf8(head: bytes) -> bool:
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data"  # the end of `head` splits a character
    return True
