"""A deploy reads every file once and looks every model up once, and a deploy with nothing to change is fast."""

import shutil
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from knative.commands.deploy import How, deploy
from knative.deploying.errors import PlanRefused
from knative.function.configuration import Flags
from knative.function.project import Project, load
from knative.objects import Ref
from runtime.registry import Published
from tests import ROOT
from tests.knative.fake_cluster import FakeCluster

FOLDER = ROOT / "functions" / "payment_model"
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_REGION")


class Registry:
    """Holds every model, and counts the lookups."""

    def __init__(self, sha256: str = "1" * 64) -> None:
        self.sha256, self.asked = sha256, Counter[str]()

    def find(self, uri: str) -> Published | None:
        self.asked[uri] += 1
        return Published(uri=uri, sha256=self.sha256, size=1000)


@pytest.fixture
def cluster() -> FakeCluster:
    made = FakeCluster()
    made.namespace = "default"
    secret = Ref("Secret", "scalezero-s3")
    made.objects[secret] = {
        "kind": "Secret",
        "metadata": {"name": secret.name, "resourceVersion": "0"},
        "data": dict.fromkeys(KEYS, ""),
    }
    return made


@pytest.fixture
def project() -> Project:
    return load((FOLDER,), Flags(), environ={})


def test_the_files_are_read_once_and_each_model_is_looked_up_once(
    tmp_path: Path, cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "payment_model"
    shutil.copytree(FOLDER, folder)
    project = load((folder,), Flags(image="scalezero:0.1", s3_secret="scalezero-s3"), environ={})  # noqa: S106 - a name
    shutil.rmtree(folder)
    registry = Registry()
    deploy(replace(project, handler=None), cluster, folder, find=registry.find, how=How(timeout=60))
    assert set(registry.asked.values()) == {1}
    assert "payment-model-ab: http://payment-model-ab.test" in capsys.readouterr().out


def test_a_deploy_with_nothing_to_change_applies_nothing_and_takes_less_than_three_seconds(
    project: Project, cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    deploy(project, cluster, FOLDER, find=Registry().find, how=How(timeout=60))
    cluster.applied.clear()
    capsys.readouterr()
    began = time.perf_counter()
    deploy(load((FOLDER,), Flags(), environ={}), cluster, FOLDER, find=Registry().find, how=How(timeout=60))
    assert time.perf_counter() - began < 3
    assert cluster.applied == []
    assert "service/payment-model: unchanged" in capsys.readouterr().out


def test_a_replaced_model_ends_a_deploy_before_any_change(project: Project, cluster: FakeCluster) -> None:
    deploy(project, cluster, FOLDER, find=Registry().find, how=How(timeout=60))
    cluster.applied.clear()
    with pytest.raises(PlanRefused, match="was replaced"):
        deploy(project, cluster, FOLDER, find=Registry("2" * 64).find, how=How(timeout=60))
    assert cluster.applied == []
