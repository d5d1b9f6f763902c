"""The function that the tests deploy: payment-model as its owner wrote it, with what a small, crowded node needs."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

ROOT = Path(__file__).resolve().parents[2]
PAYMENT_MODEL = ROOT / "functions" / "payment_model"
NOTHING: Mapping[str, str] = MappingProxyType({})
SMALL = {"cpu: 250m": "cpu: 50m", "memory: 256Mi": "memory: 128Mi"}  # what is asked of the node; the limits stay


def payment_model(folder: Path, *, model: Mapping[str, str] = NOTHING, function: Mapping[str, str] = NOTHING) -> Path:
    """Copy the function's folder, with its func.yaml; texts of model.yaml and func.yaml are replaced by others."""
    made = folder / "payment_model"
    shutil.copytree(PAYMENT_MODEL, made, ignore=shutil.ignore_patterns("__pycache__"))
    manifest = made / "model.yaml"
    manifest.write_text(_replaced(manifest.read_text(), model))
    (made / "func.yaml").write_text(_replaced((ROOT / "func.yaml").read_text(), {**SMALL, **function}))
    return made


def _replaced(text: str, others: Mapping[str, str]) -> str:
    for old, new in others.items():
        assert old in text, f"{old!r} stands there no more"
        text = text.replace(old, new)
    return text
