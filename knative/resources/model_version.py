"""ModelVersion: one published version of a model and the location of its artifact."""

import re
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from knative.resources.errors import FieldFault, as_yaml
from knative.resources.fields import Metadata, Name, Part

_PATHS = {
    "s3": (
        re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/[^\s/][^\s]*"),
        "s3://bucket/key, as storage.type is s3",
    ),
    "file": (
        re.compile(r"file:///[^\s].*|(?![a-z][a-z0-9+.-]*://).+", re.IGNORECASE),
        "file:///path or a path, as storage.type is file",
    ),
}


class Storage(Part, frozen=True, kw_only=True):
    """The location of the artifact."""

    type: Annotated[Literal["s3", "file"], Meta(description="s3 or file")]
    path: Annotated[str, Meta(min_length=1, max_length=4096, description="s3://bucket/key, file:///path or a path")]

    def __post_init__(self) -> None:
        """Raise `FieldFault` if the path does not match the storage type."""
        pattern, allowed = _PATHS[self.type]
        if not pattern.fullmatch(self.path):
            raise FieldFault("path", value=as_yaml(self.path), allowed=allowed)

    def uri(self, folder: Path) -> str:
        """Return the URI of the artifact, or its path; a relative path starts at `folder`, the manifest's folder."""
        return self.path if "://" in self.path else str(folder / self.path)


class ModelVersionSpec(Part, frozen=True, kw_only=True):
    """The model, the version and its artifact."""

    model_name: Name
    version: Annotated[
        str,
        Meta(
            pattern=r"^[0-9A-Za-z][0-9A-Za-z.+_-]{0,62}\Z",
            description='at most 63 letters, digits, and . + _ -, in quotes, such as "1.0.0"',
        ),
    ]
    format: Annotated[Literal["onnx"], Meta(description="onnx, the only supported format")]
    storage: Storage


class ModelVersion(Part, frozen=True, kw_only=True):
    """One version of a model, as the user writes it."""

    api_version: Annotated[Literal["ml.example.com/v1"], Meta(description="ml.example.com/v1")]
    kind: Annotated[Literal["ModelVersion"], Meta(description="ModelVersion")]
    metadata: Metadata
    spec: ModelVersionSpec

    def __post_init__(self) -> None:
        """Raise `FieldFault` if the name cannot be the name of a Knative revision.

        Knative requires that the name of a revision starts with the name of its Service and a dash. The Service has the
        name of the model, and the revision has the name of the ModelVersion.
        """
        prefix = f"{self.spec.model_name}-"
        if not self.metadata.name.startswith(prefix):
            allowed = f"a name that starts with {prefix} (spec.modelName and a dash), as Knative requires of a revision"
            raise FieldFault("metadata", "name", value=as_yaml(self.metadata.name), allowed=allowed)

    @property
    def title(self) -> str:
        """The model and the version, for a message."""
        return f"{self.spec.model_name} {self.spec.version}"
