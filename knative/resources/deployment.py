"""A Kubernetes Deployment (apps/v1) that serves a model with the image of another server.

It is read as written by hand or as printed by `kubectl get -o yaml`. The selector and the labels that the API server
requires are optional here.
"""

import json
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, field

from knative.resources.errors import FieldFault, as_yaml
from knative.resources.fields import Name, Part, TextMap
from knative.resources.pod import Count, Flag, PodTemplate, Seconds, Untyped


class ObjectMetadata(Part, frozen=True, kw_only=True):
    """The metadata of an object. The API server writes `creationTimestamp` and the fields after it."""

    name: Annotated[
        str,
        Meta(
            pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z",
            max_length=63,  # because it becomes the value of a label
            description="a DNS-1123 subdomain: at most 63 of a-z, 0-9, - and ., with a letter or digit at both ends",
        ),
    ]
    namespace: Name | None = None
    labels: TextMap = field(default_factory=dict)
    annotations: TextMap = field(default_factory=dict)
    finalizers: Untyped | None = None
    owner_references: Untyped | None = None
    creation_timestamp: Untyped | None = None
    deletion_timestamp: Untyped | None = None
    deletion_grace_period_seconds: Untyped | None = None
    generation: Untyped | None = None
    managed_fields: Untyped | None = None
    resource_version: Untyped | None = None
    self_link: Untyped | None = None
    uid: Untyped | None = None


class Selector(Part, frozen=True, kw_only=True):
    """The selector for the pods of the Deployment."""

    match_labels: TextMap = field(default_factory=dict)
    match_expressions: Untyped | None = None


class DeploymentSpec(Part, frozen=True, kw_only=True):
    """The number of pods and their template."""

    replicas: Count | None = None
    selector: Selector | None = None
    template: PodTemplate
    strategy: Untyped | None = None
    min_ready_seconds: Seconds | None = None
    revision_history_limit: Count | None = None
    progress_deadline_seconds: Seconds | None = None
    paused: Flag | None = None

    def __post_init__(self) -> None:
        """Raise `FieldFault` if the selector does not match the labels of the template, as the API server does."""
        labels = self.template.metadata.labels if self.template.metadata else {}
        for key, value in (self.selector.match_labels if self.selector else {}).items():
            if (label := labels.get(key, value)) != value:
                allowed = f"{as_yaml(label)}, the label of the template"
                raise FieldFault("selector", "matchLabels", key, value=as_yaml(value), allowed=allowed)


class ForeignDeployment(Part, frozen=True, kw_only=True):
    """A Deployment, as the user writes it."""

    api_version: Annotated[Literal["apps/v1"], Meta(description="apps/v1")]
    kind: Annotated[Literal["Deployment"], Meta(description="Deployment")]
    metadata: ObjectMetadata
    spec: DeploymentSpec
    status: Untyped | None = None

    def as_manifest(self) -> dict[str, Any]:
        """Return the manifest as plain data, with all fields that the user wrote."""
        plain: dict[str, Any] = json.loads(json.dumps(msgspec.to_builtins(self)))  # converts tuples to lists
        return plain
