"""What a CustomResourceDefinition says beyond the model's own fields, and how the two become one manifest.

The rules are those that a model checks in `__post_init__`, said in CEL. They hold where a resource comes past our own
reading, by kubectl. What CEL could not check within the API server's budget stays with the reading: that an
APIDefinition's path and its parameters name each other.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from knative.resources.api_definition import APIDefinition, PathItem
from knative.resources.documents import text_of
from knative.resources.fields import Part
from knative.resources.inference_config import InferenceConfig
from knative.resources.model_optimization import ModelOptimization
from knative.resources.model_version import ModelVersion
from knative.resources.schemas import Schema, structural_schema
from knative.resources.status import Status

HEADER: Final = "# Made from the models by `python -m knative.resources.crds`; edit those instead.\n"
EACH: Final = "*"  # in a rule's path: every value of a mapping, or every item of a list


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule in CEL about the field at `path`, which is `self` in it, and what a person is told where it is broken."""

    path: tuple[str, ...]
    rule: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of `kubectl get`; one of priority 1 is shown by `-o wide` only."""

    name: str
    path: str
    type: str = "string"
    priority: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """One kind: its model and its names, columns and rules in the cluster."""

    kind: type[Part]
    plural: str
    short: str
    columns: tuple[Column, ...]
    rules: tuple[Rule, ...] = ()


_LAST_COLUMNS = (
    Column(name="Ready", path='.status.conditions[?(@.type=="Ready")].status'),
    Column(name="Reason", path='.status.conditions[?(@.type=="Ready")].reason', priority=1),
    Column(name="Age", path=".metadata.creationTimestamp", type="date"),
)

DEFINITIONS: Final = (
    Definition(
        kind=ModelVersion,
        plural="modelversions",
        short="mv",
        columns=(
            Column(name="Model", path=".spec.modelName"),
            Column(name="Version", path=".spec.version"),
            Column(name="Artifact", path=".spec.storage.path", priority=1),
        ),
        rules=(
            Rule(
                path=(),
                rule="self.metadata.name.startsWith(self.spec.modelName + '-')",
                message="metadata.name must start with spec.modelName and a dash, as Knative asks of a revision",
            ),
            Rule(
                path=("spec", "storage"),
                rule=r"self.type != 's3' || self.path.matches(r'^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/[^\s/]\S*$')",
                message="path must be s3://bucket/key, as type is s3",
            ),
            Rule(
                path=("spec", "storage"),
                rule=(
                    r"self.type != 'file' || self.path.matches(r'(?i)^file:///\S.*$') || "
                    r"(self.path.matches(r'^.+$') && !self.path.matches(r'(?i)^[a-z][a-z0-9+.-]*://'))"
                ),
                message="path must be file:///path or a path, as type is file",
            ),
        ),
    ),
    Definition(
        kind=InferenceConfig,
        plural="inferenceconfigs",
        short="ic",
        columns=(
            Column(name="Model", path=".spec.modelName"),
            Column(name="Batch", path=".spec.batchSize", type="integer"),
            Column(name="Wait", path=".spec.maxWaitTime"),
            Column(name="Timeout", path=".spec.timeout"),
        ),
        rules=(
            Rule(
                path=("spec",),
                rule="duration(self.maxWaitTime) <= duration('24h')",
                message="maxWaitTime must be at most 24h",
            ),
            Rule(
                path=("spec",),
                rule="duration(self.timeout) >= duration('1us') && duration(self.timeout) <= duration('24h')",
                message="timeout must be from 1us to 24h",
            ),
            Rule(
                path=("spec",),
                rule="duration(self.timeout) > duration(self.maxWaitTime)",
                message="timeout must be longer than maxWaitTime, or requests expire while a batch fills",
            ),
        ),
    ),
    Definition(
        kind=ModelOptimization,
        plural="modeloptimizations",
        short="mo",
        columns=(
            Column(name="Model", path=".spec.modelName"),
            Column(name="Quantized", path=".spec.quantization.enabled", type="boolean"),
            Column(name="Precision", path=".spec.quantization.precision"),
        ),
    ),
    Definition(
        kind=APIDefinition,
        plural="apidefinitions",
        short="apidef",
        columns=(),
        rules=(
            Rule(
                path=("spec", "paths"),
                rule="self.all(path, path.startsWith('/'))",
                message="each path must start with /",
            ),
            *(
                Rule(
                    path=("spec", "paths", EACH, method, "parameters", EACH),
                    # `in` is a word of CEL's own, which Kubernetes writes as __in__.
                    rule="self.__in__ != 'path' || (has(self.required) && self.required)",
                    message="required must be true, as the parameter is in the path",
                )
                for method in PathItem.__struct_fields__
            ),
        ),
    ),
)


def manifests() -> dict[str, str]:
    """Write each definition as a manifest, by the name of its file."""
    return {f"{each.plural}.yaml": HEADER + text_of([_unshared(manifest(each))]) for each in DEFINITIONS}


def manifest(definition: Definition) -> dict[str, Any]:
    """Build the CustomResourceDefinition (apiextensions.k8s.io/v1)."""
    written = structural_schema(definition.kind)
    group, _, version = written["properties"]["apiVersion"]["enum"][0].partition("/")
    name = definition.kind.__name__
    columns = [_column(each) for each in (*definition.columns, *_LAST_COLUMNS)]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{definition.plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {
                "kind": name,
                "listKind": f"{name}List",
                "plural": definition.plural,
                "singular": name.lower(),
                "shortNames": [definition.short],
                "categories": ["scalezero"],
            },
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": columns,
                    "schema": {"openAPIV3Schema": _root(definition, written)},
                }
            ],
        },
    }


def _root(definition: Definition, written: Schema) -> Schema:
    """Put the status in, and leave of the rest what the API server does not see to by itself."""
    name = written["properties"]["metadata"]["properties"]["name"]
    root: Schema = {
        "description": written["description"],
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object", "properties": {"name": name}},
            "spec": written["properties"]["spec"],
            "status": structural_schema(Status),
        },
    }
    for rule in definition.rules:
        said = {"rule": rule.rule, "message": rule.message}
        _at(root, rule.path).setdefault("x-kubernetes-validations", []).append(said)
    return root


def _at(schema: Schema, path: tuple[str, ...]) -> Schema:
    for step in path:
        below = schema["properties"] if step != EACH else {EACH: schema.get("items") or schema["additionalProperties"]}
        schema = below[step]
    return schema


def _column(column: Column) -> Mapping[str, object]:
    shown: dict[str, object] = {"name": column.name, "type": column.type, "jsonPath": column.path}
    return {**shown, "priority": column.priority} if column.priority else shown


def _unshared(value: object) -> object:
    """Copy so that no part is shared: YAML would write a shared one once and point at it."""
    return json.loads(json.dumps(value))
