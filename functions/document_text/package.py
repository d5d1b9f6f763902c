"""The models of the package rapidocr-onnxruntime, and the characters in characters.json.

    python -m functions.document_text.package

writes characters.json again. The package is downloaded and read, but not installed: it requires opencv-python, which
needs the libraries of a desktop, and a Python before 3.13.
"""

import json
import subprocess
import sys
import zipfile
from functools import cache
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import onnx

PACKAGE: Final = "rapidocr-onnxruntime==1.4.4"
FACTS: Final = Path(__file__).with_name("characters.json")
# The file in the package, and its SHA-256, by the name of the model.
MODELS: Final = {
    "document-text": (
        "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx",
        "d2a7720d45a54257208b1e13e36a8479894cb74155a5efe29462512d42f49da9",
    ),
    "text-angle": (
        "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx",
        "e47acedf663230f8863ff1ab0e64dd2d82b838fceb5957146dab185a89d6215c",
    ),
    "text-recognition": (
        "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx",
        "48fc40f24f6d2a207a2b1091d3437eb3cc3eb6b676dc3ef9c37384005483683b",
    ),
}
_SOURCE: Final = f"{PACKAGE}, model ch_PP-OCRv4_rec (https://github.com/RapidAI/RapidOCR), of PaddleOCR"
_LICENCE: Final = "Apache-2.0, Copyright 2020 PaddlePaddle Authors"


def download(folder: Path, package: str = PACKAGE) -> Path:
    """Download the package with pip, and return the path of its wheel. Raises `ConnectionError` with pip's message."""
    options = ["--no-deps", "--only-binary=:all:", "--ignore-requires-python", "--disable-pip-version-check", "--quiet"]
    command = [sys.executable, "-m", "pip", "download", *options, f"--dest={folder}", package]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - constants
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ConnectionError(f"pip could not download {package}: {said}; check the network and pip's configuration")
    return next(folder.glob("*.whl"))


@cache
def models() -> dict[str, bytes]:
    """Return the content of each model by its name. Raises `ConnectionError`, and `ValueError` if it is another one."""
    with TemporaryDirectory(prefix="scalezero-") as folder, zipfile.ZipFile(download(Path(folder))) as wheel:
        found = {name: wheel.read(file) for name, (file, _) in MODELS.items()}
    for name, content in found.items():
        check(name, content)
    return found


def check(name: str, content: bytes) -> None:
    """Raise `ValueError` if the content is not that of the model with this name."""
    digest, expected = sha256(content).hexdigest(), MODELS[name][1]
    if digest != expected:
        raise ValueError(f"{name}: got a model with the SHA-256 {digest}; expected {expected}, that of {PACKAGE}")


def facts() -> dict[str, Any]:
    """Return the content of characters.json, from the metadata of the model."""
    model = onnx.load_from_string(models()["text-recognition"])
    (characters,) = [each.value for each in model.metadata_props if each.key == "character"]
    return {"source": _SOURCE, "licence": _LICENCE, "characters": "".join(characters.splitlines())}


def render(content: dict[str, Any]) -> str:
    """Return characters.json."""
    return json.dumps(content, ensure_ascii=False, indent=2) + "\n"


if __name__ == "__main__":
    FACTS.write_text(render(facts()), "utf-8")
