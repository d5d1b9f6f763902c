"""A version that was never Ready is corrected in the files, and replaced under its name by the next apply."""

from pathlib import Path

import pytest

from tests.e2e.load import load
from tests.e2e.namespace import Namespace
from tests.e2e.test_apply import SPLIT, VERSION, model, shares

MISSING, PUBLISHED = "s3://models/no-such.onnx", "s3://models/payment-model-v1.onnx"
NAME = "payment-model"  # the load sends requests to this model


def with_v2(folder: Path, name: str, path: str, *, split: bool = False) -> Path:
    """Declare a v1 that works, and a v2 with this artifact."""
    folder = model(folder, name, versions=(1,), split=False, path=PUBLISHED)
    manifest = folder / "model.yaml"
    documents = [VERSION.format(name=name, number=2, path=path), *([SPLIT.format(name=name)] if split else [])]
    manifest.write_text(manifest.read_text() + "".join(documents))
    return folder


def uid(own: Namespace, revision: str) -> str:
    return str(own.get("Revision", revision)["metadata"]["uid"])


@pytest.mark.usefixtures("deployed")  # it publishes the artifact
def test_a_newest_revision_that_crashes_is_replaced_while_the_other_one_serves(own: Namespace, tmp_path: Path) -> None:
    own.scalezero("apply", "-f", with_v2(tmp_path, NAME, MISSING, split=True), code=1)
    failed, serving = uid(own, f"{NAME}-v2"), uid(own, f"{NAME}-v1")
    folder = with_v2(tmp_path, NAME, PUBLISHED, split=True)
    assert f"- revision/{NAME}-v2  replace: it was never Ready" in own.scalezero("plan", "-f", folder)
    with load(own.url(NAME)) as tally:
        printed = own.scalezero("apply", "-f", folder)
    assert tally.failures == []
    assert f"revision/{NAME}-v2: deleted; it was never Ready" in printed
    assert uid(own, f"{NAME}-v2") != failed
    assert uid(own, f"{NAME}-v1") == serving
    assert shares(own, NAME) == {f"{NAME}-v1": 50, f"{NAME}-v2": 50}
    assert own.scalezero("plan", "-f", folder).splitlines()[-1] == "nothing to do"
    own.scalezero("delete", NAME)


@pytest.mark.usefixtures("deployed")
def test_the_traffic_stays_while_a_revision_is_replaced(own: Namespace, tmp_path: Path) -> None:
    """The latest Ready revision has no traffic, and the Service uses its template for a moment."""
    folder = with_v2(tmp_path, NAME, PUBLISHED)
    own.scalezero("apply", "-f", folder)
    manifest = folder / "model.yaml"
    two = manifest.read_text()
    manifest.write_text(two + VERSION.format(name=NAME, number=3, path=MISSING))
    own.scalezero("apply", "-f", folder, code=1)
    manifest.write_text(two + VERSION.format(name=NAME, number=3, path=PUBLISHED))
    with load(own.url(NAME)) as tally:
        own.scalezero("apply", "-f", folder)
    assert tally.failures == []
    assert set(tally.by_revision()) == {f"{NAME}-v1"}
    assert shares(own, NAME) == {f"{NAME}-v1": 100, f"{NAME}-v2": 0, f"{NAME}-v3": 0}
    assert own.get("Service", NAME)["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "scalezero"
    own.scalezero("delete", NAME)


@pytest.mark.usefixtures("deployed")
def test_a_correction_that_fails_too_can_be_corrected_again(own: Namespace, tmp_path: Path) -> None:
    own.scalezero("apply", "-f", with_v2(tmp_path, "again", MISSING), code=1)
    own.scalezero("apply", "-f", with_v2(tmp_path, "again", "s3://models/not-there-either.onnx"), code=1)
    own.scalezero("apply", "-f", with_v2(tmp_path, "again", PUBLISHED))
    assert shares(own, "again") == {"again-v1": 100, "again-v2": 0}
    own.scalezero("delete", "again")


@pytest.mark.usefixtures("deployed")
def test_a_service_of_which_no_revision_was_ready_is_replaced(own: Namespace, tmp_path: Path) -> None:
    own.scalezero("apply", "-f", model(tmp_path, "fresh", versions=(1,), split=False, path=MISSING), code=1)
    folder = model(tmp_path, "fresh", versions=(1,), split=False, path=PUBLISHED)
    assert "- service/fresh  replace" in own.scalezero("plan", "-f", folder)
    own.scalezero("apply", "-f", folder)
    assert shares(own, "fresh") == {"fresh-v1": 100}
    own.scalezero("status", "fresh")
    own.scalezero("delete", "fresh")


@pytest.mark.usefixtures("deployed")
def test_a_route_that_left_the_files_is_named_by_the_plan(own: Namespace, tmp_path: Path) -> None:
    own.scalezero("apply", "-f", with_v2(tmp_path, "left", PUBLISHED, split=True))
    planned = own.scalezero("plan", "-f", with_v2(tmp_path, "left", PUBLISHED))
    assert "kubectl delete routes.serving.knative.dev/left-ab" in planned
    own.kubectl("delete", "routes.serving.knative.dev/left-ab")
    assert "left-ab" not in own.scalezero("plan", "-f", tmp_path)
    own.scalezero("delete", "left")
