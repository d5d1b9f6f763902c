"""The objects that are made from an artifact are below its two folders, and differ if their bytes differ."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.optimizing.candidates import METHODS
from runtime.published import places

URI = "s3://models/a.onnx"
digests = st.dictionaries(st.sampled_from(["", "a.bin", "b.bin"]), st.sampled_from(["0" * 64, "1" * 64]), min_size=1)


@given(digests, digests)
def test_forms_have_one_place_if_and_only_if_all_their_files_are_equal(
    first: dict[str, str], second: dict[str, str]
) -> None:
    same = places.form_uri(URI, "int8", first.items()) == places.form_uri(URI, "int8", second.items())
    assert same == (first == second)


def test_the_order_of_files_does_not_matter() -> None:
    files = [("a", "0" * 64), ("b", "1" * 64)]
    assert places.form_uri(URI, "int8", files) == places.form_uri(URI, "int8", reversed(files))


@pytest.mark.parametrize("uri", [URI, "file:///srv/a%20b/m.onnx", "s3://models/a/B.ONNX", "/srv/m.onnx"])
def test_an_object_belongs_to_the_artifact_that_it_was_made_from(uri: str) -> None:
    for place in (places.form_uri(uri, "int8", [("", "0" * 64)]), places.assessment_uri(uri, "intel-amx", ())):
        assert places.owner(place) == uri


@pytest.mark.parametrize(
    "uri",
    [URI, f"{URI}.manifest.json", "s3://a.onnx.variants/m.onnx", "s3://models/team.variants/m.onnx", "a.variants/b"],
)
def test_another_object_belongs_to_no_artifact(uri: str) -> None:
    assert places.owner(uri) is None


def test_assessments_of_a_class_are_numbered() -> None:
    existing: list[str] = []
    for name in ("intel-amx", "intel-amx-2", "intel-amx-3"):
        existing.append(places.assessment_uri(URI, "intel-amx", existing))
        assert existing[-1] == f"{URI}.assessments/{name}.json"
        assert places.is_assessment_of(existing[-1], "intel-amx")
        assert not places.is_assessment_of(existing[-1], "intel")
        assert places.is_assessment(existing[-1])


def test_the_longest_name_of_a_variant_has_room_in_a_key() -> None:
    uri = "s3://models/a.onnx"
    for method in METHODS:
        for name in (f"{method}-openvino", method):
            form = places.form_uri(uri, f"{name}-compiled-intel-avx512vnni", [("", "0" * 64)])
            files = (f"{name}_OpenVINOExecutionProvider.bin", f"{name}.prepared-1.32.10-intel-avx512vnni.onnx.data")
            for file in files:
                assert len(f"{form.rpartition('/')[0]}/{file}") - len(uri) <= places.LONGEST_SUFFIX
