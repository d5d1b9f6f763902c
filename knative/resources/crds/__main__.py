"""Write every CustomResourceDefinition into this folder, from the models."""

from pathlib import Path

from knative.resources.crds.definitions import manifests

for name, text in manifests().items():
    Path(__file__).with_name(name).write_text(text, "utf-8")
    print(f"wrote {name}")  # noqa: T201 - output of a command
