"""Tests of the assessments that are added beside a manifest, as values and as JSON."""

import json
from dataclasses import replace

import pytest

from runtime.variants.added import AddedAssessment, as_data, merged, parse, render
from runtime.variants.values import OPENVINO_PROVIDER, ORIGINAL, PreparedForm, RowsProof, Variant
from tests.runtime.variants.recorded import DIGEST, URI, assessment, variant

OTHER = "b" * 64


def form(number: int) -> PreparedForm:
    return PreparedForm(uri=f"{URI}.variants/form-{number}/model.onnx", sha256=DIGEST, size=1, cpu_class="intel")


def added(*variants: Variant) -> AddedAssessment:
    measured = assessment("intel", {ORIGINAL: 2.0, "fast": 1.0}, chosen="fast")
    return AddedAssessment(uri=URI, sha256=DIGEST, measured_by="me@here", variants=variants, assessment=measured)


def test_the_json_of_an_added_assessment_is_read_back() -> None:
    document = added(variant(ORIGINAL, prepared=1), variant("fast", files=2, reason="8 rows"))
    assert parse(render(document)) == document


def test_a_reader_ignores_unknown_fields() -> None:
    data = {**as_data(added()), "later": 1}
    assert parse(json.dumps(data).encode()) == added()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schemaVersion": 2}, "schemaVersion: got 2; expected 1; a newer scalezero wrote it"),
        ({"sha256": "x"}, "sha256: got 'x'; expected 64 hexadecimal digits"),
        ({"assessment": None}, r"the document|assessment: got None; expected an object"),
        ({"variants": {}}, "variants: got {}; expected a list"),
    ],
)
def test_an_error_names_the_field(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(json.dumps({**as_data(added()), **change}).encode())


@pytest.mark.parametrize("body", [b"", b"[]", b"[" * 100_000, b"\xff"])
def test_bytes_that_are_no_assessment_are_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of the parser or of the reader
        parse(body)


def test_added_variants_follow_those_of_the_manifest() -> None:
    original, fast = variant(ORIGINAL), variant("fast")
    assert merged([original], [added(fast), added(fast)]) == (original, fast)


def test_added_prepared_forms_and_proofs_join_those_of_the_variant() -> None:
    original = replace(variant(ORIGINAL), prepared=(form(1),))
    proof = RowsProof(state="proven", reason="8 rows")
    offered = replace(original, prepared=(form(1), form(2)), rows=proof)
    assert merged([original], [added(offered)]) == (replace(original, prepared=(form(1), form(2)), rows=proof),)


@pytest.mark.parametrize("change", [{"sha256": OTHER}, {"provider": OPENVINO_PROVIDER}])
def test_two_variants_of_one_name_are_an_error(change: dict[str, str]) -> None:
    other = replace(variant("fast"), **change)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="variants: got fast with the SHA-256"):
        merged([variant(ORIGINAL), variant("fast")], [added(other)])
