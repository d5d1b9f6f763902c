"""Strategies for valid resources and options: several versions of a model, with or without a config and a split."""

from pathlib import Path

from hypothesis import strategies as st

from knative.manifests import Compute, DeploymentOptions, RegistryAccess, Volume
from knative.resources import ABService, InferenceConfig, ModelVersion, Resources
from knative.resources.ab_service import TrafficSpec, TrafficTarget
from knative.resources.fields import Metadata
from knative.resources.inference_config import InferenceConfigSpec
from knative.resources.model_version import ModelVersionSpec, Storage
from runtime.configuration.listeners import Listener
from runtime.configuration.version_policy import ALL, LATEST, VersionPolicy
from runtime.settings import Settings
from tests.knative.resources.strategies import events, versions

NAMESPACE = "models"
models = st.from_regex(r"[a-z]([-a-z0-9]{0,10}[a-z0-9])?", fullmatch=True)
endings = st.from_regex(r"[-a-z0-9]{0,8}[a-z0-9]", fullmatch=True) | st.sampled_from(["1", "v1", "r-1", "-1"])
paths = st.from_regex(r"s3://[a-z0-9]{3,9}/[a-zA-Z0-9._$()-][a-zA-Z0-9./_$()-]{0,9}", fullmatch=True)
durations = st.integers(1_000, 86_400_000_000).map(lambda microseconds: microseconds / 10**6)
graces = st.integers(0, 570_000_000).map(lambda microseconds: microseconds / 10**6)


def settings() -> st.SearchStrategy[Settings]:
    """Generate the settings of the runtime that an operator may choose for all models."""
    return st.builds(
        Settings,
        load=st.sampled_from(["prefetch", "lazy"]),
        load_timeout=durations,
        stall_timeout=durations,
        batch_size=st.integers(1, 4096),
        queue_size=st.integers(1, 1_000_000),
        threads=st.none() | st.integers(1, 1024),
        function_source=st.sampled_from([None, Path("functions/payment_model/main.py"), Path("/app/$(HOME)/$x.py")]),
        protocols=st.sampled_from([None, ("ml.v1",), ("open_inference", "ml.v1")]),
        listen=st.sampled_from([(), (Listener(("ml.v1", "a"), 9000), Listener(("b",), 0, "::1"))]),
        model_versions=st.sampled_from([None, LATEST, ALL, VersionPolicy(named=(1, 3))]),
        grace_period=graces,
        access_log=st.booleans(),
    )


def deployments() -> st.SearchStrategy[DeploymentOptions]:
    """Generate all options except a limit of the concurrency, which depends on the batch size."""
    compute = Compute(cpu="500m", memory="300Mi")
    return st.builds(
        DeploymentOptions,
        image=st.sampled_from(["scalezero:0.1", "registry.example:5000/ml/scalezero@sha256:" + 64 * "a"]),
        namespace=st.just(NAMESPACE),
        min_scale=st.integers(0, 5),
        max_scale=st.just(0) | st.integers(5, 100),
        requests=st.just(compute),
        limits=st.sampled_from([compute, Compute(cpu="2", memory="1Gi"), Compute(cpu="0.5", memory="314572800")]),
        volumes=st.sampled_from([(), (Volume("/a", "secret", "keys"), Volume("/b", "emptyDir", size_limit="1Gi"))]),
        service_account=st.none() | st.just("registry-reader"),
        s3=st.builds(
            RegistryAccess,
            secret=st.none() | st.just("registry"),
            endpoint_url=st.none() | st.just("http://s3.registry:8333"),
            region=st.none() | st.just("us-east-1"),
        ),
        runtime=settings(),
    )


@st.composite
def resources(draw: st.DrawFn) -> Resources:
    """Generate a model with versions, and optionally a config and a split, which may name an undeclared revision."""
    model = draw(models)
    declared = tuple(
        _version(model, f"{model}-{ending}", f"{index}{draw(versions)}", draw(paths))
        for index, ending in enumerate(draw(st.lists(endings, min_size=1, max_size=3, unique=True)))
    )
    configs = st.lists(_configs(model), max_size=1).map(tuple)
    splits = st.lists(_splits(model, [each.metadata.name for each in declared]), max_size=1).map(tuple)
    return Resources(model_versions=declared, inference_configs=draw(configs), ab_services=draw(splits))


def _version(model: str, name: str, version: str, path: str) -> ModelVersion:
    return ModelVersion(
        api_version="ml.example.com/v1",
        kind="ModelVersion",
        metadata=Metadata(name=name),
        spec=ModelVersionSpec(model_name=model, version=version, format="onnx", storage=Storage(type="s3", path=path)),
    )


@st.composite
def _configs(draw: st.DrawFn, model: str) -> InferenceConfig:
    wait = draw(st.integers(0, 80_000_000))
    timeout = draw(st.integers(wait + 1, 86_400_000))
    return InferenceConfig(
        api_version="ml.example.com/v1",
        kind="InferenceConfig",
        metadata=Metadata(name=f"{model}-config", namespace=draw(st.sampled_from([None, NAMESPACE]))),
        spec=InferenceConfigSpec(
            batch_size=draw(st.integers(1, 4096)),
            max_wait_time=f"{wait}ms",
            timeout=f"{timeout}ms",
            events=draw(st.none() | events(model, models)),
        ),
    )


@st.composite
def _splits(draw: st.DrawFn, model: str, revisions: list[str]) -> ABService:
    chosen = draw(st.lists(st.sampled_from([*revisions, f"{model}-elsewhere9"]), min_size=1, max_size=3, unique=True))
    cuts = sorted(draw(st.lists(st.integers(0, 100), min_size=len(chosen) - 1, max_size=len(chosen) - 1)))
    shares = [high - low for low, high in zip([0, *cuts], [*cuts, 100], strict=True)]
    return ABService(
        api_version="serving.knative.dev/v1",
        kind="Service",
        metadata=Metadata(name=draw(st.sampled_from([model, f"{model}-ab"]))),
        spec=TrafficSpec(
            traffic=tuple(
                TrafficTarget(revision_name=name, percent=share) for name, share in zip(chosen, shares, strict=True)
            )
        ),
    )
