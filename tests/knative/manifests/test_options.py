import pytest

from knative.manifests import Compute, DeploymentOptions, RegistryAccess, Volume
from knative.manifests.capacity import timeout_seconds
from knative.manifests.container import container
from knative.manifests.quantities import canonical_bytes, canonical_cpu
from runtime.errors import BadSetting
from runtime.settings import Settings


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"image": ""}, "image"),
        ({"image": "two words"}, "image"),
        ({"namespace": "Models"}, "namespace"),
        ({"min_scale": -1}, "scale"),
        ({"min_scale": 3, "max_scale": 2}, "scale"),
        ({"max_scale": -1}, "scale"),
        ({"cache_size": "much"}, "cache_size"),
        ({"service_account": "a b"}, "service_account"),
        ({"volumes": (Volume("/tmp", "emptyDir"),)}, "volumes"),  # noqa: S108 - a path of a pod
        ({"volumes": (Volume("/var/cache/scalezero", "secret", "s"),)}, "volumes"),
        ({"volumes": (Volume("/a:b", "secret", "s"),)}, "volumes"),
        ({"volumes": (Volume("/a", "secret", "a b"),)}, "volumes"),
        ({"volumes": (Volume("/a", "emptyDir", size_limit="much"),)}, "volumes"),
        ({"volumes": (Volume("/a", "secret", "s"), Volume("/a", "configMap", "c"))}, "volumes"),
        ({"requests": Compute(cpu="2", memory="1Mi")}, "requests"),
        ({"requests": Compute(cpu="100m", memory="1Gi")}, "requests"),
    ],
)
def test_an_option_that_the_cluster_would_refuse_is_refused_with_its_name(
    options: dict[str, object], name: str
) -> None:
    with pytest.raises(BadSetting) as caught:
        DeploymentOptions(**{"image": "scalezero:0.1", **options})  # type: ignore[arg-type]
    assert caught.value.details["name"] == name


@pytest.mark.parametrize(("cpu", "memory"), [("1x", "1Gi"), ("1", "1gb"), ("-1", "1Gi"), ("0", "1Gi"), ("1", "0")])
def test_an_invalid_quantity_of_cpu_or_memory_is_refused(cpu: str, memory: str) -> None:
    with pytest.raises(BadSetting):
        Compute(cpu=cpu, memory=memory)


def test_without_a_max_scale_any_min_scale_is_valid() -> None:
    assert DeploymentOptions(image="scalezero:0.1", min_scale=3, max_scale=0).min_scale == 3


@pytest.mark.parametrize("access", [{"secret": "No Name"}, {"endpoint_url": "s3.registry:8333"}])
def test_an_invalid_secret_name_or_endpoint_of_the_registry_is_refused(access: dict[str, str]) -> None:
    with pytest.raises(BadSetting):
        RegistryAccess(**access)


def test_the_timeout_covers_load_request_and_grace_period_up_to_the_maximum_of_knative() -> None:
    assert timeout_seconds(Settings(load_timeout=60.0, timeout=1.5, grace_period=20.0)) == 60 + 2 + 30 + 20
    assert timeout_seconds(Settings(load_timeout=3600.0)) == 600


def test_a_grace_period_above_the_maximum_of_knative_is_refused() -> None:
    with pytest.raises(BadSetting, match="grace_period"):
        timeout_seconds(Settings(grace_period=571.0))


def test_an_image_is_required_only_for_the_container_of_the_runtime() -> None:
    assert DeploymentOptions().image is None
    with pytest.raises(BadSetting, match=r"image: not set; expected the image of the runtime: --image, or `image` in"):
        container(Settings(), DeploymentOptions())


def test_a_variable_that_knative_sets_is_refused() -> None:
    with pytest.raises(BadSetting, match="K_SERVICE"):
        DeploymentOptions(environment={"K_SERVICE": "shop"})


@pytest.mark.parametrize(
    ("written", "canonical"), [("1000m", "1"), ("0.5", "500m"), ("1.5", "1500m"), ("0.001", "1m"), ("2", "2")]
)
def test_cpu_quantities_are_in_the_canonical_form_of_the_api_server(written: str, canonical: str) -> None:
    assert canonical_cpu(written) == canonical


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("1024Mi", "1Gi"),
        ("1536Mi", "1536Mi"),
        ("1000M", "1G"),
        ("314572800", "314572800"),
        ("5000", "5k"),
        ("0Mi", "0"),
        ("1.5Gi", "1536Mi"),
        ("1.0Gi", "1Gi"),
        ("1.25Mi", "1280Ki"),
        ("1.5G", "1500M"),
        ("0.25k", "250"),
    ],
)
def test_byte_quantities_are_in_the_canonical_form_of_the_api_server(written: str, canonical: str) -> None:
    assert canonical_bytes(written) == canonical


@pytest.mark.parametrize("text", ["0.001Ki", "1.5", "-1Mi", "1e3", "Gi"])
def test_a_quantity_that_is_not_a_whole_number_of_bytes_is_refused(text: str) -> None:
    with pytest.raises(BadSetting, match=r"memory='.*': expected bytes such as"):
        canonical_bytes(text)
