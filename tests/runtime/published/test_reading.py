"""Assessments are objects beside a manifest, which are only ever added: on a real S3 and in a folder."""

import re
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from runtime.published.manifest_json import render as render_manifest
from runtime.published.objects import Objects
from runtime.published.places import assessment_uri, form_uri, manifest_uri
from runtime.registry import (
    InvalidAssessment,
    Manifest,
    Publication,
    entries,
    plan_removal,
    published_variants,
    read_assessments,
    read_manifest,
    remove,
    verify,
)
from runtime.registry.files import delete, put_once
from runtime.registry.making import BuiltVariants
from runtime.registry.publishing import plan_model, send_variants
from runtime.registry.removing import plan_cleaning
from runtime.variants.added import AddedAssessment, render
from runtime.variants.values import ORIGINAL, PreparedForm, Variant
from tests.runtime.conftest import Place
from tests.runtime.registry.model_files import model
from tests.runtime.variants.recorded import assessment

BODY = b"the bytes of a variant"


def published(place: Place, tmp_path: Path, name: str = "a.onnx") -> Manifest:
    """Publish a model without variants, and without a prepared form on a slow machine too; return its manifest."""
    plan = plan_model(model(tmp_path), place(name), Publication("add", "1"))
    send_variants(plan, BuiltVariants(plan.manifest.variants))
    manifest = read_manifest(place(name))
    assert manifest is not None
    return manifest


def made(manifest: Manifest, name: str, body: bytes = BODY) -> Variant:
    """Write the object of a variant, and return the variant."""
    digest = sha256(body).hexdigest()
    uri = form_uri(manifest.uri, name, [("", digest)])
    put_once(uri, body)
    return replace(manifest.variants[0], name=name, uri=uri, sha256=digest, size=len(body), files=())


def document(manifest: Manifest, *variants: Variant, cpu_class: str = "intel-amx") -> AddedAssessment:
    """Return an assessment that chooses the last variant."""
    seconds = {ORIGINAL: 2.0, **{each.name: 1.0 for each in variants}}
    measured = assessment(cpu_class, seconds, chosen=[ORIGINAL, *(each.name for each in variants)][-1])
    return AddedAssessment(
        uri=manifest.uri, sha256=manifest.sha256, measured_by="me", variants=variants, assessment=measured
    )


def add(manifest: Manifest, added: AddedAssessment) -> str:
    """Write an assessment and return its URI."""
    uri = assessment_uri(manifest.uri, added.assessment.cpu_class, ())
    assert put_once(uri, render(added))
    return uri


def test_an_added_assessment_brings_its_variants_and_its_ranking(place: Place, tmp_path: Path) -> None:
    manifest = published(place, tmp_path)
    fast = made(manifest, "int8-dynamic")
    uri = add(manifest, document(manifest, fast))
    variants, (measured,) = published_variants(place("a.onnx"))
    assert variants == (*manifest.variants, fast)
    assert measured.ranking == ("int8-dynamic", ORIGINAL)
    (found,) = read_assessments(manifest)
    assert (found.place, found.problem) == (uri, "")
    assert read_manifest(place("a.onnx")) == manifest


def test_a_model_without_a_manifest_has_no_variants(place: Place) -> None:
    assert published_variants(place("a.onnx")) == ((), ())


def test_the_listing_has_the_assessments_and_no_variant_is_a_model(place: Place, tmp_path: Path) -> None:
    manifest = published(place, tmp_path)
    add(manifest, document(manifest, made(manifest, "int8-dynamic")))
    (entry,) = entries(place(""), every=True)
    assert [each.document and each.document.assessment.cpu_class for each in entry.added] == ["intel-amx"]
    assert entry.leftovers == ()


@pytest.mark.parametrize("place", ["s3", "path"], indirect=True)
@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        (b"[]", "got \\[\\]"),
        ("uri", "uri: got .*b.onnx; expected .*a.onnx"),
        ("sha256", "as the manifest has"),
        ("class", "the class in the name of the object"),
        ("elsewhere", "expected one below .*a.onnx.variants/"),
        ("conflict", "variants: got original with the SHA-256"),
    ],
)
def test_an_assessment_that_does_not_fit_is_left_out_and_reported_with_the_next_step(
    place: Place, tmp_path: Path, caplog: pytest.LogCaptureFixture, broken: bytes | str, problem: str
) -> None:
    manifest = published(place, tmp_path)
    fast = made(manifest, "int8-dynamic")
    good = add(manifest, document(manifest, fast))
    body = broken if isinstance(broken, bytes) else render(_changed(manifest, broken))
    uri = assessment_uri(manifest.uri, "amd-avx2", ())
    put_once(uri, body)
    variants, (measured,) = published_variants(place("a.onnx"))
    assert (variants, measured.cpu_class) == ((*manifest.variants, fast), "intel-amx")
    (warning,) = caplog.messages
    assert re.search(problem, warning)
    assert f"scalezero models delete '{uri}', then scalezero models measure" in warning
    (entry,) = entries(place(""))
    assert entry.manifest == manifest
    assert entry.added[0].problem
    assert [each.uri for each in verify(manifest, entry.added) if not each.is_good] == [uri]
    remove(plan_removal(uri), print)
    remove(plan_removal(good), print)
    assert published_variants(place("a.onnx")) == (manifest.variants, ())


def _changed(manifest: Manifest, field: str) -> AddedAssessment:
    good = document(manifest, cpu_class="amd-avx2")
    folder = manifest.uri.rpartition("/")[0]
    outside = replace(manifest.variants[0], name="int8", uri=f"{folder}/b.onnx")
    changed = {
        "uri": replace(good, uri=f"{folder}/b.onnx"),
        "sha256": replace(good, sha256="0" * 64),
        "class": document(manifest, cpu_class="amd"),
        "elsewhere": replace(good, variants=(outside,)),
        "conflict": replace(good, variants=(replace(manifest.variants[0], sha256="0" * 64),)),
    }
    return changed[field]


@pytest.mark.parametrize("kind", ["variant", "prepared"])
def test_a_manifest_whose_variants_are_elsewhere_is_refused(place: Place, tmp_path: Path, kind: str) -> None:
    manifest = published(place, tmp_path)
    folder = manifest.uri.rpartition("/")[0]
    original = manifest.variants[0]
    outside = PreparedForm(uri=f"{folder}/b.onnx", sha256="0" * 64, size=1)
    changed = {
        "variant": (original, replace(original, name="int8", uri=outside.uri)),
        "prepared": (replace(original, prepared=(outside,)),),
    }
    delete(manifest_uri(manifest.uri))
    put_once(manifest_uri(manifest.uri), render_manifest(replace(manifest, variants=changed[kind])))
    (entry,) = entries(place(""))
    assert "expected an object in or below the artifact's folder of variants" in entry.problem


def test_every_object_of_the_variants_is_verified(place: Place, tmp_path: Path) -> None:
    manifest = published(place, tmp_path)
    fast = made(manifest, "int8-dynamic")
    add(manifest, document(manifest, fast))
    added = read_assessments(manifest)
    assert [(each.uri, each.problem) for each in verify(manifest, added)] == [(fast.uri, ""), (manifest.uri, "")]
    delete(fast.uri)
    assert [each.problem for each in verify(manifest, added)] == ["there is no such object", ""]


def test_a_deletion_removes_assessments_variants_and_leftovers_after_the_manifest(place: Place, tmp_path: Path) -> None:
    manifest = published(place, tmp_path)
    fast, left = made(manifest, "int8-dynamic"), made(manifest, "int8-nncf", b"left by another publisher")
    uri = add(manifest, document(manifest, fast))
    removal = plan_removal(place("a.onnx"))
    assert removal.deleted == (manifest_uri(manifest.uri), uri, fast.uri, left.uri, manifest.uri)
    remove(removal._replace(deleted=removal.deleted[:2]), print)  # it is interrupted
    (entry,) = entries(place(""), every=True)
    assert (entry.uri, entry.manifest, entry.leftovers) == (manifest.uri, None, (fast.uri, left.uri))
    remove(plan_removal(place("a.onnx")), print)
    assert list(Objects(place("")).list(place(""))) == []


def test_variants_whose_artifact_is_missing_are_listed_and_deleted(place: Place, tmp_path: Path) -> None:
    manifest = published(place, tmp_path)
    fast = made(manifest, "int8-dynamic")
    for uri in (manifest_uri(manifest.uri), manifest.uri):
        delete(uri)
    assert [(each.uri, each.leftovers) for each in entries(place(""), every=True)] == [(manifest.uri, (fast.uri,))]
    remove(plan_removal(place("a.onnx")), print)
    assert list(Objects(place("")).list(place(""))) == []


def test_a_cleaning_deletes_only_what_nothing_names(place: Place, tmp_path: Path) -> None:
    manifest = published(place, tmp_path)
    fast, left = made(manifest, "int8-dynamic"), made(manifest, "int8-nncf", b"left by another publisher")
    add(manifest, document(manifest, fast))
    (entry,) = entries(place(""))
    assert entry.leftovers == (left.uri,)
    assert plan_cleaning(place("a.onnx")).deleted == (left.uri,)
    put_once(assessment_uri(manifest.uri, "amd-avx2", ()), b"[]")
    with pytest.raises(InvalidAssessment):  # it may name the object
        plan_cleaning(place("a.onnx"))
    assert entries(place(""))[0].leftovers == ()


def test_a_variant_is_not_deleted_alone(place: Place, tmp_path: Path) -> None:
    manifest = published(place, tmp_path)
    from runtime.errors import ArtifactMissing, BadSetting

    with pytest.raises(BadSetting, match=r"the artifact, .*a\.onnx, or one of its assessments"):
        plan_removal(made(manifest, "int8-dynamic").uri)
    with pytest.raises(ArtifactMissing, match="there is no such assessment"):
        plan_removal(assessment_uri(manifest.uri, "intel-amx", ()))


def test_a_model_is_not_published_among_the_variants_of_another(place: Place, tmp_path: Path) -> None:
    from runtime.errors import BadSetting

    for name in ("a.onnx.variants/b.onnx", "a.onnx.assessments/b.onnx", "a.onnx.variants"):
        with pytest.raises(BadSetting, match="a name outside of the folders of what is made from"):
            plan_model(model(tmp_path), place(name), Publication("add", "1"))
