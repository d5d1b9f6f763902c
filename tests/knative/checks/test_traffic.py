"""Traffic: the current traffic of the cluster, and conflicts of Kubernetes Services."""

from pathlib import Path

import pytest

from knative.checks.subject import Facts
from tests.knative.checks.cases import SPLIT, Case, check


def codes(case: Case, folder: Path) -> list[str]:
    return [each.code for each in check(case, folder)]


def test_a_version_with_traffic_on_the_cluster_has_no_finding(tmp_path: Path) -> None:
    for percent, expected in ((60, False), (0, True)):
        folder = tmp_path / str(percent)
        folder.mkdir()
        case = Case(models=((SPLIT, ""),), facts=Facts(percents={"payment-model-v2": percent}))
        assert ("version-without-traffic" in codes(case, folder)) is expected


@pytest.mark.parametrize(
    ("name", "both"),
    [
        ("payment-model-v1", ("the split payment-model-v1", "the revision payment-model-v1")),
        ("payment-model-v1-private", ("the split payment-model-v1-private", "the revision payment-model-v1")),
        ("v2-payment-model", ("the split v2-payment-model", "the tag of payment-model-v2")),
    ],
)
def test_a_split_with_the_same_kubernetes_service_as_another_object_is_an_error(
    tmp_path: Path, name: str, both: tuple[str, str]
) -> None:
    found = check(Case(models=(("name: payment-model-ab", f"name: {name}"),)), tmp_path)
    (meeting,) = (each for each in found if each.code == "names-meet")
    for fact in (*both, f"Service {name}"):
        assert fact in meeting.what
    assert meeting.where is not None


def test_two_versions_may_share_an_artifact(tmp_path: Path) -> None:
    """They may differ in their code or settings."""
    assert codes(Case(models=(("payment-model-v2.onnx", "payment-model-v1.onnx"),)), tmp_path) == []
