"""Any resource that a user may write."""

from hypothesis import strategies as st

from knative.resources import ABService, APIDefinition, InferenceConfig, ModelOptimization, ModelVersion, Resources
from knative.resources.ab_service import TrafficSpec, TrafficTarget
from knative.resources.api_definition import APIDefinitionSpec, MediaType, Operation, Parameter, PathItem, RequestBody
from knative.resources.fields import Metadata
from knative.resources.inference_config import InferenceConfigSpec
from knative.resources.model_optimization import ModelOptimizationSpec, Quantization
from knative.resources.model_version import ModelVersionSpec, Storage

names = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True)
texts = st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=2)
versions = st.from_regex(r"[0-9A-Za-z][0-9A-Za-z.+_-]{0,10}", fullmatch=True)
storages = st.one_of(
    st.builds(
        Storage,
        type=st.just("s3"),
        path=st.from_regex(r"s3://[a-z0-9]{3,9}/[a-zA-Z0-9._-][a-zA-Z0-9./_-]{0,9}", fullmatch=True),
    ),
    st.builds(Storage, type=st.just("file"), path=st.sampled_from(["file:///models/a.onnx", "a.onnx", "/m/ä b.onnx"])),
)
named_models: st.SearchStrategy[str | None] = st.none() | names


def metadata(name: str) -> st.SearchStrategy[Metadata]:
    """Metadata of a given name."""
    return st.builds(Metadata, name=st.just(name), namespace=st.none() | names, labels=texts, annotations=texts)


@st.composite
def model_versions(draw: st.DrawFn) -> ModelVersion:
    """A version, named as Knative asks of a revision of its model."""
    model = draw(names)
    return ModelVersion(
        api_version="ml.example.com/v1",
        kind="ModelVersion",
        metadata=draw(metadata(f"{model}-{draw(names)}")),
        spec=ModelVersionSpec(model_name=model, version=draw(versions), format="onnx", storage=draw(storages)),
    )


@st.composite
def inference_configs(draw: st.DrawFn, model: st.SearchStrategy[str | None] = named_models) -> InferenceConfig:
    """Batching settings whose timeout is longer than the wait."""
    wait = draw(st.integers(0, 80_000_000))
    timeout = draw(st.integers(wait + 1, 86_400_000))
    spec = InferenceConfigSpec(
        model_name=draw(model),
        batch_size=draw(st.integers(1, 4096)),
        max_wait_time=f"{wait}ms",
        timeout=f"{timeout // 1000}s{timeout % 1000}ms",
    )
    return InferenceConfig(
        api_version="ml.example.com/v1", kind="InferenceConfig", metadata=draw(names.flatmap(metadata)), spec=spec
    )


@st.composite
def model_optimizations(draw: st.DrawFn, model: st.SearchStrategy[str | None] = named_models) -> ModelOptimization:
    """Quantization wished for or not."""
    quantization = Quantization(enabled=draw(st.booleans()), precision="int8", target="cpu")
    return ModelOptimization(
        api_version="ml.example.com/v1",
        kind="ModelOptimization",
        metadata=draw(names.flatmap(metadata)),
        spec=ModelOptimizationSpec(model_name=draw(model), quantization=quantization),
    )


@st.composite
def ab_services(draw: st.DrawFn) -> ABService:
    """A split into shares that sum to 100."""
    revisions = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    cuts = sorted(draw(st.lists(st.integers(0, 100), min_size=len(revisions) - 1, max_size=len(revisions) - 1)))
    shares = [high - low for low, high in zip([0, *cuts], [*cuts, 100], strict=True)]
    traffic = tuple(
        TrafficTarget(revision_name=name, percent=share) for name, share in zip(revisions, shares, strict=True)
    )
    return ABService(
        api_version="serving.knative.dev/v1",
        kind="Service",
        metadata=draw(names.flatmap(metadata)),
        spec=TrafficSpec(traffic=traffic),
    )


@st.composite
def api_definitions(draw: st.DrawFn) -> APIDefinition:
    """Paths with a parameter or none, and with a body or none."""
    schemas = st.dictionaries(
        st.text(max_size=8), st.none() | st.integers() | st.lists(st.text(max_size=3)), max_size=2
    )
    parts = draw(st.lists(names, max_size=2, unique=True))
    parameters = tuple(Parameter(name=each, place="path", required=True, schema=draw(schemas)) for each in parts)
    body = RequestBody(content={draw(names): MediaType(schema=draw(schemas))})
    operation = Operation(
        summary=draw(st.none() | st.text()), parameters=parameters, request_body=draw(st.none() | st.just(body))
    )
    path = "".join(f"/{{{each}}}" for each in parts) or "/"
    return APIDefinition(
        api_version="api.example.com/v1",
        kind="APIDefinition",
        metadata=draw(names.flatmap(metadata)),
        spec=APIDefinitionSpec(paths={path: PathItem(get=operation), "/other": PathItem()}),
    )


@st.composite
def resources(draw: st.DrawFn) -> Resources:
    """At most one resource of each kind, so that none rivals another; a modelName is that of a version beside it."""
    versions = draw(st.lists(model_versions(), max_size=1))
    named = [each.spec.model_name for each in versions]
    model: st.SearchStrategy[str | None] = st.sampled_from(named) if named else st.none()
    return Resources(
        model_versions=tuple(versions),
        inference_configs=tuple(draw(st.lists(inference_configs(model), max_size=1))),
        model_optimizations=tuple(draw(st.lists(model_optimizations(model), max_size=1))),
        ab_services=tuple(draw(st.lists(ab_services(), max_size=1))),
        api_definitions=tuple(draw(st.lists(api_definitions(), max_size=1))),
    )
