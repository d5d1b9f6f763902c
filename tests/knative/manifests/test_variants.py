"""What a revision pins of the published variants, and what a deployed one lacks."""

from dataclasses import replace

import pytest

from knative.manifests import DeploymentOptions, Pin, desired
from knative.manifests.inputs import digest
from knative.manifests.variants import VARIANTS, choose, news, pinned_of, rankings
from knative.objects import Manifest
from runtime.settings import settings_from
from runtime.variants.pinned import PinnedModel, pinned_from, render
from tests.knative.documents import read, version
from tests.knative.manifests.test_steps import environ, services
from tests.knative.published import SHA256, URI, assessment, variant
from tests.knative.resources.test_optimized import optimization

ORIGINAL, NNCF, OPENVINO = variant(), variant("int8-nncf", sha256="4" * 64), variant("openvino")
ON_AMX = assessment("intel-amx", "int8-nncf", {"int8-nncf": 3.0, "openvino": 2.0})
ON_AVX2 = assessment("amd-avx2", "original", {"int8-nncf": 0.9})
PINNED = pinned_from([ORIGINAL, NNCF, OPENVINO], [ON_AMX, ON_AVX2])
OPTIONS = DeploymentOptions(image="scalezero:0.1")


def template(pinned: PinnedModel | None) -> Manifest:
    """Return the template of a revision that pins this."""
    return service(pinned)["spec"]["template"]  # type: ignore[no-any-return]


def service(pinned: PinnedModel | None) -> Manifest:
    steps = desired(read(version("shop-v1", "shop", path=URI)), OPTIONS, {URI: Pin(SHA256, None, pinned)})
    return services(steps)[0].manifest


def test_the_ranking_of_each_measured_class_is_pinned() -> None:
    pinned = choose([ORIGINAL, NNCF, OPENVINO], [ON_AMX, ON_AVX2], optimization())
    assert rankings(pinned) == {
        "amd-avx2": ("original",),
        "intel-amx": ("int8-nncf", "openvino", "original"),
    }


def test_without_a_model_optimization_the_choice_of_the_publisher_counts() -> None:
    assert choose([ORIGINAL, NNCF], [ON_AMX], None) == choose([ORIGINAL, NNCF], [ON_AMX], optimization())


def test_a_disabled_model_optimization_pins_the_original_with_its_prepared_forms() -> None:
    pinned = choose([variant(prepared=("cpu",)), NNCF], [ON_AMX], optimization(enabled=False))
    assert pinned is not None
    assert [each.name for each in pinned.variants] == ["original"]
    assert pinned.original.prepared
    assert rankings(pinned) == {"intel-amx": ("original",)}
    assert set(pinned.classes["intel-amx"].costs) == {"original"}


@pytest.mark.parametrize(
    ("original", "is_pinned"),
    [(variant(), False), (variant(prepared=("cpu",)), True), (variant(proven=True), True)],
)
def test_an_original_alone_is_pinned_only_if_a_pod_learns_something_from_it(
    original: object, *, is_pinned: bool
) -> None:
    assert isinstance(original, type(ORIGINAL))
    assert (choose([original], [], None) is not None) is is_pinned


def test_the_measured_cost_of_the_original_is_pinned() -> None:
    assert choose([ORIGINAL], [ON_AVX2], None) is not None


def test_without_an_original_nothing_is_pinned() -> None:
    assert choose([], [], None) is None
    assert choose([NNCF], [ON_AMX], None) is None


def test_a_pod_reads_the_pinned_variants_from_its_variable() -> None:
    variables = environ(service(PINNED))
    assert settings_from(variables).variants == PINNED
    assert pinned_of(template(PINNED)) == PINNED


def test_a_dollar_in_a_uri_reaches_the_pod() -> None:
    odd = pinned_from([variant(uri="s3://models/a$b$$.onnx", proven=True)], [])
    assert settings_from(environ(service(odd))).variants == odd
    assert pinned_of(template(odd)) == odd


def test_nothing_is_rendered_for_a_model_without_variants() -> None:
    assert VARIANTS not in environ(service(None))
    assert pinned_of(template(None)) is None


def test_the_digest_of_the_inputs_does_not_depend_on_the_pinned_variants() -> None:
    resources = read(version("shop-v1", "shop", path=URI))
    annotations = [template(each)["metadata"]["annotations"] for each in (None, PINNED)]
    assert annotations[0] == annotations[1]
    assert digest(resources.model_versions[0], None, OPTIONS) in annotations[0].values()


def test_variants_that_this_version_cannot_read_count_as_none() -> None:
    revision = template(PINNED)
    for each in revision["spec"]["containers"][0]["env"]:
        if each["name"] == VARIANTS:
            each["value"] = '{"later": true}'
    assert pinned_of(revision) is None


@pytest.mark.parametrize(
    ("deployed", "now", "expected"),
    [
        (PINNED, PINNED, ()),
        (PINNED, None, ()),
        (None, PINNED, ("int8-nncf instead of original on intel-amx",)),
        (
            pinned_from([ORIGINAL, NNCF, OPENVINO], [assessment("intel-amx", "openvino", {"openvino": 2.0})]),
            PINNED,
            ("int8-nncf instead of openvino on intel-amx",),
        ),
        (
            PINNED,
            pinned_from([ORIGINAL, replace(NNCF, sha256="5" * 64), OPENVINO], [ON_AMX, ON_AVX2]),
            ("another file of int8-nncf on intel-amx",),
        ),
        (
            PINNED,
            pinned_from([variant(prepared=("cpu",)), NNCF, OPENVINO], [ON_AMX, ON_AVX2]),
            ("a prepared form of original",),
        ),
        (PINNED, pinned_from([ORIGINAL, NNCF], [ON_AMX]), ()),
        (None, pinned_from([ORIGINAL], [ON_AVX2]), ()),
    ],
)
def test_what_a_deployed_revision_lacks_is_named(
    deployed: PinnedModel | None, now: PinnedModel | None, expected: tuple[str, ...]
) -> None:
    assert news(deployed, now) == expected


def test_the_rendered_variable_is_what_the_pinned_form_renders() -> None:
    assert environ(service(PINNED))[VARIANTS] == render(PINNED)
