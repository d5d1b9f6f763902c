"""Hypothesis strategies for all resources that a user may write."""

from hypothesis import strategies as st

from knative.resources import ABService, APIDefinition, InferenceConfig, ModelOptimization, ModelVersion, Resources
from knative.resources.ab_service import TrafficSpec, TrafficTarget
from knative.resources.api_definition import APIDefinitionSpec, MediaType, Operation, Parameter, PathItem, RequestBody
from knative.resources.delivery import Delivery, Reference, Sink
from knative.resources.event_filters import AttributesFilter, Filter
from knative.resources.events import ChannelTemplate, Events, Predictions, Sequence, Trigger
from knative.resources.fields import Metadata
from knative.resources.guest import Folder, Guest
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
    """Draw metadata with this name."""
    return st.builds(Metadata, name=st.just(name), namespace=st.none() | names, labels=texts, annotations=texts)


@st.composite
def model_versions(draw: st.DrawFn) -> ModelVersion:
    """Draw a version with a name that Knative allows for a revision of its model."""
    model = draw(names)
    return ModelVersion(
        api_version="ml.example.com/v1",
        kind="ModelVersion",
        metadata=draw(metadata(f"{model}-{draw(names)}")),
        spec=ModelVersionSpec(model_name=model, version=draw(versions), format="onnx", storage=draw(storages)),
    )


def sinks() -> st.SearchStrategy[Sink]:
    """Draw a destination of each kind."""
    return st.one_of(
        st.builds(Sink, broker=names),
        st.builds(Sink, function=names),
        st.just(Sink(uri="http://events.example.com/in")),
        st.just(Sink(ref=Reference(api_version="eventing.knative.dev/v1alpha1", kind="KafkaSink", name="all"))),
    )


def deliveries() -> st.SearchStrategy[Delivery]:
    """Draw retries with durations of both notations. By default Knative has no `retryAfterMax`."""
    delays = st.sampled_from(["0", "200ms", "PT0.5S", "1m30s"])
    return st.builds(
        Delivery,
        retry=st.integers(0, 1000),
        backoff_policy=st.sampled_from(["exponential", "linear"]),
        backoff_delay=delays,
        timeout=st.none() | st.sampled_from(["100ms", "PT1H"]),
        format=st.sampled_from([None, "binary", "json"]),
        dead_letter_sink=st.none() | sinks(),
    )


_exact = st.dictionaries(
    st.sampled_from(["type", "source", "subject", "knativearrivaltime"]), st.text(max_size=8), min_size=1, max_size=2
)
filters = st.recursive(
    st.one_of(
        st.builds(Filter, exact=_exact),
        st.builds(Filter, prefix=_exact),
        st.builds(Filter, suffix=_exact),
        st.just(Filter(cesql="type = 'a'")),
    ),
    lambda inner: st.one_of(
        st.builds(Filter, all=st.lists(inner, min_size=1, max_size=2).map(tuple)),
        st.builds(Filter, any=st.lists(inner, min_size=1, max_size=2).map(tuple)),
        st.builds(Filter, negated=inner),
    ),
    max_leaves=3,
)


def triggers(name: str | None) -> st.SearchStrategy[Trigger]:
    """Draw a trigger of this name, with exact attributes or with filters."""
    types = st.sampled_from([None, "com.example.created"])
    more: st.SearchStrategy[dict[str, str]] = st.just({}) | st.fixed_dictionaries({"source": st.text(max_size=8)})
    common = {"name": st.just(name), "type": types, "broker": st.none() | names, "delivery": st.none() | deliveries()}
    return st.one_of(
        st.builds(Trigger, filter=st.builds(AttributesFilter, attributes=more), **common),
        st.builds(Trigger, filters=st.lists(filters, min_size=1, max_size=2).map(tuple), **common),
    )


def sequences(steps: tuple[str, ...]) -> st.SearchStrategy[Sequence]:
    template = ChannelTemplate(api_version="messaging.knative.dev/v1", kind="InMemoryChannel")
    return st.builds(
        Sequence,
        steps=st.just(steps),
        reply=st.none() | sinks(),
        channel_template=st.sampled_from([None, template]),
    )


@st.composite
def events(draw: st.DrawFn, model: str = "first", functions: st.SearchStrategy[str] = names) -> Events:
    """Draw the objects for the events of a model, which is a step of the sequence beside `functions`."""
    subscribed = tuple(draw(triggers(each)) for each in draw(st.sampled_from([(), (None,), (None, "rest", "b")])))
    create = draw(st.booleans())
    steps = (*draw(st.lists(functions, max_size=2)), model)
    return Events(
        broker=draw(st.just("default") | functions),
        create_broker=create,
        broker_class="MTChannelBasedBroker" if create and draw(st.booleans()) else None,
        triggers=subscribed,
        delivery=draw(st.none() | deliveries()),
        sequence=draw(st.none() | sequences(steps)),
        predictions=draw(st.none() | st.builds(Predictions, sink=sinks(), sample=st.sampled_from([None, 0.1, 1.0]))),
    )


def guests() -> st.SearchStrategy[Guest]:
    """Generate a guest with or without an amount of memory, folders and a network."""
    path = st.from_regex(r"s3://[a-z0-9]{3,9}/[a-z0-9]{1,5}\.wasm", fullmatch=True)
    memory = st.none() | st.sampled_from(["64Ki", "256Mi", "4Gi"])
    folders = st.sampled_from([(), (Folder(path="/data"), Folder(path="/data", guest_path="/", read_only=False))])
    return st.builds(Guest, path=path, memory=memory, folders=folders, network=st.booleans())


@st.composite
def inference_configs(draw: st.DrawFn, model: st.SearchStrategy[str | None] = named_models) -> InferenceConfig:
    """Draw batching settings with a timeout longer than the wait."""
    wait = draw(st.integers(0, 80_000_000))
    timeout = draw(st.integers(wait + 1, 86_400_000))
    spec = InferenceConfigSpec(
        model_name=draw(model),
        batch_size=draw(st.integers(1, 4096)),
        max_wait_time=f"{wait}ms",
        timeout=f"{timeout // 1000}s{timeout % 1000}ms",
        events=draw(st.none() | events()),
        guest=draw(st.none() | guests()),
    )
    return InferenceConfig(
        api_version="ml.example.com/v1", kind="InferenceConfig", metadata=draw(names.flatmap(metadata)), spec=spec
    )


@st.composite
def model_optimizations(draw: st.DrawFn, model: st.SearchStrategy[str | None] = named_models) -> ModelOptimization:
    """Draw quantization, enabled or disabled, with any bounds and data."""
    sources = st.none() | st.sampled_from(["rows.npz", "../data/ä b.npz", "/data/rows.npz", "s3://models/rows.npz"])
    quantization = Quantization(
        enabled=draw(st.booleans()),
        precision="int8",
        target="cpu",
        max_accuracy_loss=draw(st.floats(0, 1)),
        min_speedup=draw(st.floats(1, 1000)),
        calibration=draw(sources),
        evaluation=draw(sources),
    )
    return ModelOptimization(
        api_version="ml.example.com/v1",
        kind="ModelOptimization",
        metadata=draw(names.flatmap(metadata)),
        spec=ModelOptimizationSpec(model_name=draw(model), quantization=quantization),
    )


@st.composite
def ab_services(draw: st.DrawFn) -> ABService:
    """Draw a split with percents that sum to 100."""
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
    """Draw paths with and without parameters and bodies."""
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
    """Draw at most one resource of each kind, without conflicts. A modelName is that of the version."""
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
