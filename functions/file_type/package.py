"""The files of the installed package magika: the model, and the facts in content_types.json.

    python -m functions.file_type.package

writes content_types.json again. The package is not imported, as that would load its own ONNX Runtime session code.
"""

import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

RELEASE: Final = "1.0.3"
FACTS: Final = Path(__file__).with_name("content_types.json")
_SOURCE: Final = f"magika {RELEASE}, model standard_v3_3 (https://github.com/google/magika)"
_LICENCE: Final = "Apache-2.0, Copyright 2024 Google LLC"
_WITHOUT_MODEL: Final = ("empty", "txt", "unknown")  # labels that the rules answer too


def folder() -> Path:
    """Return the folder of the package. Raises `ModuleNotFoundError` with the command that installs it."""
    spec = find_spec("magika")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"magika is not installed; install it: pip install magika=={RELEASE}", name="magika")
    return Path(spec.origin).parent


def model() -> Path:
    """Return the path of the ONNX model."""
    return folder() / "models" / "standard_v3_3" / "model.onnx"


def facts() -> dict[str, Any]:
    """Return the content of content_types.json: of each label only what a request needs."""
    config = json.loads(model().with_name("config.min.json").read_text("utf-8"))
    described = json.loads((folder() / "config" / "content_types_kb.min.json").read_text("utf-8"))
    labels = config["target_labels_space"]
    return {
        "source": _SOURCE,
        "licence": _LICENCE,
        "labels": labels,
        "thresholds": config["thresholds"],
        "replacements": config["overwrite_map"],
        "types": {label: _description(label, described[label]) for label in sorted({*labels, *_WITHOUT_MODEL})},
    }


def _description(label: str, described: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts of a label, with the defaults that magika uses for missing ones."""
    is_text = described["is_text"]
    return {
        "description": described["description"] or label,
        "mime_type": described["mime_type"] or ("text/plain" if is_text else "application/octet-stream"),
        "group": described["group"] or "unknown",
        "is_text": is_text,
    }


def render(content: Mapping[str, Any]) -> str:
    """Return content_types.json: one line for each label, so that a change of the package is easy to read."""
    head = [f"  {json.dumps(name)}: {json.dumps(content[name])}" for name in content if name != "types"]
    types = [f"    {json.dumps(label)}: {json.dumps(facts)}" for label, facts in content["types"].items()]
    return "{\n" + ",\n".join([*head, '  "types": {\n' + ",\n".join(types) + "\n  }"]) + "\n}\n"


if __name__ == "__main__":
    FACTS.write_text(render(facts()), "utf-8")
