"""A Deployment of Kubernetes' own (apps/v1) that serves a model by another server's image.

It is read as its owner wrote it: with the selector and the labels that the API server demands, or without them, as
written by hand or as `kubectl get -o yaml` prints it.
"""

import json
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, field

from knative.resources.errors import FieldFault, as_yaml
from knative.resources.fields import Name, Part, Texts
from knative.resources.pod import Count, Flag, Kept, PodTemplate, Seconds


class ObjectMetadata(Part, frozen=True, kw_only=True):
    """What Kubernetes keeps about any object. From `creationTimestamp` on the API server writes it, never a user."""

    name: Annotated[
        str,
        Meta(
            pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z",
            max_length=63,  # as it becomes the value of a label
            description="a DNS-1123 subdomain: at most 63 of a-z, 0-9, - and ., with a letter or digit at both ends",
        ),
    ]
    namespace: Name | None = None
    labels: Texts = field(default_factory=dict)
    annotations: Texts = field(default_factory=dict)
    finalizers: Kept | None = None
    owner_references: Kept | None = None
    creation_timestamp: Kept | None = None
    deletion_timestamp: Kept | None = None
    deletion_grace_period_seconds: Kept | None = None
    generation: Kept | None = None
    managed_fields: Kept | None = None
    resource_version: Kept | None = None
    self_link: Kept | None = None
    uid: Kept | None = None


class Selector(Part, frozen=True, kw_only=True):
    """Which pods the Deployment takes for its own."""

    match_labels: Texts = field(default_factory=dict)
    match_expressions: Kept | None = None


class DeploymentSpec(Part, frozen=True, kw_only=True):
    """How many pods of what."""

    replicas: Count | None = None
    selector: Selector | None = None
    template: PodTemplate
    strategy: Kept | None = None
    min_ready_seconds: Seconds | None = None
    revision_history_limit: Count | None = None
    progress_deadline_seconds: Seconds | None = None
    paused: Flag | None = None

    def __post_init__(self) -> None:
        """Raise `FieldFault` where the selector would not find the template's pods, which the API server refuses."""
        labels = self.template.metadata.labels if self.template.metadata else {}
        for key, value in (self.selector.match_labels if self.selector else {}).items():
            if (label := labels.get(key, value)) != value:
                allowed = f"{as_yaml(label)}, the label of the template"
                raise FieldFault("selector", "matchLabels", key, value=as_yaml(value), allowed=allowed)


class ForeignDeployment(Part, frozen=True, kw_only=True):
    """A Deployment, as its owner writes it."""

    api_version: Annotated[Literal["apps/v1"], Meta(description="apps/v1")]
    kind: Annotated[Literal["Deployment"], Meta(description="Deployment")]
    metadata: ObjectMetadata
    spec: DeploymentSpec
    status: Kept | None = None

    def as_written(self) -> dict[str, Any]:
        """Give the manifest as plain data, with every field that its owner wrote."""
        plain: dict[str, Any] = json.loads(json.dumps(msgspec.to_builtins(self)))  # lists for tuples
        return plain
