"""The JSON form of a manifest: a property of every manifest, and an error with the field for everything else."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.published.manifest import Manifest, Provenance, Value
from runtime.published.manifest_json import InvalidManifest, as_data, parse, render
from runtime.published.places import manifest_uri
from runtime.variants.values import Assessment, Cost, Measurement, PreparedForm, RowsProof, StoredFile, Variant

TEXTS = st.text(max_size=3)  # long values would take most of the time, and change nothing
DIGESTS = st.sampled_from(["0" * 64, "0123456789abcdef" * 4])
SIZES = st.integers(0, 2**63)
FILES = st.builds(StoredFile, uri=TEXTS, sha256=DIGESTS, size=SIZES)
AXES = st.none() | TEXTS | SIZES
VALUES = st.builds(Value, name=TEXTS, dtype=TEXTS, shape=st.none() | st.lists(AXES, max_size=1).map(tuple))
PROVENANCES = st.builds(
    Provenance,
    published_at=TEXTS,
    published_by=TEXTS,
    source=TEXTS,
    packages=st.dictionaries(TEXTS, TEXTS, max_size=1),
)


def several(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    """Return tuples of a few values."""
    return st.lists(strategy, max_size=1).map(tuple)


FORMS = st.builds(
    PreparedForm,
    uri=TEXTS,
    sha256=DIGESTS,
    size=SIZES,
    files=several(FILES),
    cpu_class=st.none() | TEXTS,
    provider_version=st.none() | TEXTS,
)
ROWS = st.builds(RowsProof, state=st.sampled_from(["proven", "refuted", "not_provable"]), reason=TEXTS)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
SECONDS = st.floats(min_value=0, allow_nan=False, allow_infinity=False)
MEASUREMENTS = st.builds(
    Measurement,
    variant=TEXTS,
    provider=TEXTS,
    one_row=st.none() | NUMBERS,
    full_batch=st.none() | NUMBERS,
    cost=st.none() | st.builds(Cost, fixed=SECONDS, per_row=SECONDS),
    speedup=st.none() | NUMBERS,
    score=st.none() | NUMBERS,
    loss=st.none() | NUMBERS,
    rejected=st.none() | TEXTS,
)
ASSESSMENTS = st.builds(
    Assessment,
    cpu_class=TEXTS,
    measured_at=TEXTS,
    threads=st.integers(),
    batch_size=st.integers(),
    metric=st.none() | TEXTS,
    score=st.none() | NUMBERS,
    max_accuracy_loss=NUMBERS,
    min_speedup=NUMBERS,
    chosen=TEXTS,
    reason=TEXTS,
    measurements=several(MEASUREMENTS),
    packages=st.dictionaries(TEXTS, TEXTS, max_size=1),
)
VARIANTS = st.builds(
    Variant,
    name=TEXTS,
    provider=TEXTS,
    precision=st.none() | TEXTS,
    uri=TEXTS,
    sha256=DIGESTS,
    size=SIZES,
    files=several(FILES),
    prepared=several(FORMS),
    rows=st.none() | ROWS,
)
MANIFESTS = st.builds(
    Manifest,
    name=TEXTS,
    version=TEXTS,
    uri=TEXTS,
    sha256=DIGESTS,
    size=SIZES,
    files=several(FILES),
    format=st.sampled_from(["onnx", "ort", "archive"]),
    ir_version=st.none() | st.integers(),
    opset=st.none() | st.integers(),
    domains=st.dictionaries(TEXTS, st.integers(), max_size=1),
    producer=TEXTS,
    producer_version=TEXTS,
    inputs=several(VALUES),
    outputs=several(VALUES),
    metrics=st.dictionaries(TEXTS, st.floats(allow_nan=False, allow_infinity=False), max_size=1),
    provenance=PROVENANCES,
    variants=several(VARIANTS),
    assessment=st.none() | ASSESSMENTS,
)
SHA256 = "0" * 64
EXAMPLE = Manifest(
    name="m",
    version="1.0.0",
    uri="s3://models/m.onnx",
    sha256=SHA256,
    size=7,
    files=(StoredFile(uri="s3://models/w.bin", sha256=SHA256, size=1),),
    format="onnx",
    inputs=(Value(name="x", dtype="float32", shape=("batch", 30)),),
    outputs=(),
    provenance=Provenance(published_at="2026-11-29T13:00:00Z", published_by="me@here", source="m.onnx"),
    variants=(Variant(name="original", provider="P", precision=None, uri="s3://models/m.onnx", sha256=SHA256, size=7),),
)


@given(MANIFESTS)
def test_a_parsed_manifest_equals_the_rendered_one(manifest: Manifest) -> None:
    assert parse(render(manifest), uri="u") == manifest


def test_the_names_of_the_fields_are_those_of_the_documentation() -> None:
    data = as_data(EXAMPLE)
    assert list(data)[:4] == ["schemaVersion", "name", "version", "uri"]
    assert data["schemaVersion"] == 1
    assert data["provenance"]["publishedAt"] == "2026-11-29T13:00:00Z"
    assert data["inputs"] == [{"name": "x", "dtype": "float32", "shape": ["batch", 30]}]
    assert data["irVersion"] is None


def test_unknown_fields_are_ignored() -> None:
    data = {**as_data(EXAMPLE), "later": 1}
    data["variants"][0]["measurements"] = []
    assert parse(json.dumps(data).encode(), uri="u") == EXAMPLE


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"schemaVersion": 2}, "schemaVersion: got 2; expected 1; a newer scalezero wrote it"),
        ({"schemaVersion": 0}, "schemaVersion: got 0; expected 1; no scalezero wrote it"),
        ({"schemaVersion": True}, "schemaVersion: got True; expected an integer"),
        ({"name": 1}, "name: got 1; expected a string"),
        ({"sha256": "AB"}, "sha256: got 'AB'; expected 64 hexadecimal digits in lower case"),
        ({"size": -1}, "size: got -1; expected at least 0"),
        ({"format": "pickle"}, "format: got 'pickle'; expected one of onnx, ort, archive"),
        ({"files": [{"uri": "u", "sha256": SHA256}]}, r"files[0].size: missing"),
        ({"inputs": [{"name": "x", "dtype": "d", "shape": [1.5]}]}, "inputs[0].shape[0]: got 1.5; expected an integer"),
        ({"metrics": {"auc": "x"}}, "metrics.auc: got 'x'; expected a number"),
        ({"domains": []}, "domains: got []; expected an object"),
        ({"variants": {}}, "variants: got {}; expected a list"),
        ({"provenance": "x" * 100}, f"provenance: got '{'x' * 59}...; expected an object"),
    ],
)
def test_a_wrong_value_is_an_error_with_its_field(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidManifest) as caught:
        parse(json.dumps({**as_data(EXAMPLE), **change}).encode(), uri="s3://m.manifest.json")
    assert caught.value.details == {"uri": "s3://m.manifest.json", "reason": reason}


@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"[]", b"null", b"{", b"[" * 100_000, b'{"schemaVersion": ' + b"9" * 5000 + b"}"]
)
def test_other_bytes_are_an_error(body: bytes) -> None:
    with pytest.raises(InvalidManifest):
        parse(body, uri="u")


def test_each_object_is_listed_once_and_the_artifact_last() -> None:
    other = Variant(name="int8", provider="P", precision="int8", uri="s3://models/m8.onnx", sha256=SHA256, size=2)
    manifest = replace(EXAMPLE, variants=(*EXAMPLE.variants, other))
    assert [each.uri for each in manifest.objects] == [other.uri, "s3://models/w.bin", EXAMPLE.uri]


def test_a_manifest_is_beside_its_artifact() -> None:
    assert manifest_uri("s3://models/m.onnx") == "s3://models/m.onnx.manifest.json"
