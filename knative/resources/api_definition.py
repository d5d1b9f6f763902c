"""APIDefinition: the paths of an inference API, in the format of OpenAPI 3.0.

Fields that OpenAPI defines are typed, and unknown fields are refused. Names that the author chooses (paths, media
types) and the keywords of a schema are not restricted.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from msgspec import Meta, field

from knative.resources.errors import FieldFault, as_yaml
from knative.resources.fields import Metadata, Part, Text

_TEMPLATE = re.compile(r"\{([^{}]*)\}")
_NONEMPTY = "a string of at least one character"

Schema = Annotated[dict[str, Any], Meta(description="a mapping: a schema of OpenAPI 3.0, such as {type: string}")]


class Parameter(Part, frozen=True, kw_only=True):
    """One parameter of an operation."""

    name: Annotated[str, Meta(min_length=1, max_length=253, description=_NONEMPTY)]
    place: Annotated[
        Literal["path", "query", "header", "cookie"], Meta(description="path, query, header or cookie")
    ] = field(name="in")
    description: Text | None = None
    required: Annotated[bool, Meta(description="true or false")] = False
    schema: Schema

    def __post_init__(self) -> None:
        """Raise `FieldFault` if a path parameter is not required, because the path always contains it."""
        if self.place == "path" and not self.required:
            raise FieldFault("required", value=as_yaml(self.required), allowed="true, as the parameter is in the path")


class MediaType(Part, frozen=True, kw_only=True):
    """The schema of a body of one media type."""

    schema: Schema


class RequestBody(Part, frozen=True, kw_only=True):
    """The body of a request."""

    description: Text | None = None
    required: Annotated[bool, Meta(description="true or false")] = False
    content: Annotated[
        dict[str, MediaType],
        Meta(min_length=1, max_length=16, description="a mapping of at least one media type to its schema"),
    ]


class Operation(Part, frozen=True, kw_only=True):
    """The operation of one method on a path."""

    summary: Text | None = None
    description: Text | None = None
    parameters: Annotated[
        tuple[Parameter, ...],
        Meta(
            max_length=64,
            description="a list of at most 64 parameters, each with name, in and schema",
            extra_json_schema={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name", "in"]},
        ),
    ] = ()
    request_body: RequestBody | None = None

    def __post_init__(self) -> None:
        """Raise `FieldFault` for a duplicate parameter."""
        seen: set[tuple[str, str]] = set()
        for index, each in enumerate(self.parameters):
            if (key := (each.name, each.place)) in seen:
                allowed = f"each parameter in the {each.place} once"
                raise FieldFault("parameters", index, "name", value=as_yaml(each.name), allowed=allowed)
            seen.add(key)


class PathItem(Part, frozen=True, kw_only=True):
    """The methods of one path."""

    get: Operation | None = None
    put: Operation | None = None
    post: Operation | None = None
    delete: Operation | None = None
    options: Operation | None = None
    head: Operation | None = None
    patch: Operation | None = None
    trace: Operation | None = None

    def operations(self) -> Iterator[tuple[str, Operation]]:
        """Yield each method of the path with its operation."""
        for method in self.__struct_fields__:
            operation: Operation | None = getattr(self, method)
            if operation is not None:
                yield method, operation


class APIDefinitionSpec(Part, frozen=True, kw_only=True):
    """The paths of the API."""

    paths: Annotated[
        dict[str, PathItem],
        Meta(
            min_length=1, max_length=128, description="a mapping of at least one path, such as /predict, to its methods"
        ),
    ]

    def __post_init__(self) -> None:
        """Raise `FieldFault` if a path does not start with /, or its template does not match its parameters."""
        for path, item in self.paths.items():
            if not path.startswith("/"):
                raise FieldFault("paths", path, value=as_yaml(path), allowed="a path that starts with /")
            for method, operation in item.operations():
                _check_template(path, method, operation)


class APIDefinition(Part, frozen=True, kw_only=True):
    """The paths of an inference API, as the user writes them."""

    api_version: Annotated[Literal["api.example.com/v1"], Meta(description="api.example.com/v1")]
    kind: Annotated[Literal["APIDefinition"], Meta(description="APIDefinition")]
    metadata: Metadata
    spec: APIDefinitionSpec


def _check_template(path: str, method: str, operation: Operation) -> None:
    """Refuse a template variable without a parameter, and a path parameter that is not in the path (OpenAPI 3.0.3)."""
    variables = _TEMPLATE.findall(path)
    described: Mapping[str, int] = {
        each.name: index for index, each in enumerate(operation.parameters) if each.place == "path"
    }
    for name in variables:
        if name not in described:
            value, allowed = f"no path parameter {as_yaml(name)}", f"a parameter for each name in braces in {path}"
            raise FieldFault("paths", path, method, "parameters", value=value, allowed=allowed)
    for name, index in described.items():
        if name not in variables:
            allowed = f"a name in braces in {path}"
            raise FieldFault("paths", path, method, "parameters", index, "name", value=as_yaml(name), allowed=allowed)
