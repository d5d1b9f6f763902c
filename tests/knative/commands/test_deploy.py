"""A deploy reads every file once, looks up every model once, and is fast if nothing has changed."""

import shutil
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from knative.commands.deploy import DeployOptions, deploy
from knative.deploying.errors import PlanRefused
from knative.function.configuration import Flags
from knative.function.pins import PublishedVariants
from knative.function.project import Project, load
from knative.objects import Manifest, Ref
from runtime.registry import Publication, Published
from tests import ROOT
from tests.knative.fake_cluster import FakeCluster

FOLDER = ROOT / "functions" / "payment_model"
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_REGION")


class Registry:
    """A registry that contains every model and counts the lookups."""

    def __init__(self, sha256: str = "1" * 64) -> None:
        self.sha256, self.lookups = sha256, Counter[str]()

    def find(self, uri: str) -> Published | None:
        self.lookups[uri] += 1
        return Published(uri=uri, sha256=self.sha256, size=1000)


def no_variants(uri: str) -> PublishedVariants:
    """Read no variants, because the registry of these tests has no objects."""
    return (), ()


def has_manifest(uri: str, publication: Publication, tell: Callable[[str], None]) -> bool:
    """Write no manifest, because every model has one."""
    return False


def deploy_from(registry: Registry, project: Project, cluster: FakeCluster, *, folder: Path = FOLDER) -> None:
    deploy(
        project,
        cluster,
        folder,
        find=registry.find,
        options=DeployOptions(timeout=60),
        complete=has_manifest,
        variants=no_variants,
    )


@pytest.fixture
def cluster() -> FakeCluster:
    fake = FakeCluster()
    fake.namespace = "default"
    secret = Ref("Secret", "scalezero-s3")
    fake.objects[secret] = {
        "kind": "Secret",
        "metadata": {"name": secret.name, "resourceVersion": "0"},
        "data": dict.fromkeys(KEYS, ""),
    }
    return fake


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
    deploy_from(registry, replace(project, handler=None), cluster, folder=folder)
    assert set(registry.lookups.values()) == {1}
    assert "payment-model-ab: http://payment-model-ab.test" in capsys.readouterr().out


def test_the_checks_before_and_after_publishing_list_the_objects_once(cluster: FakeCluster, project: Project) -> None:
    listed: list[str] = []
    list_objects = cluster.list

    def listing(kind: str, *, labels: Mapping[str, str] = {}) -> list[Manifest]:
        listed.append(kind)
        return list_objects(kind, labels=labels)

    cluster.list = listing  # type: ignore[method-assign]
    deploy_from(Registry(), project, cluster)
    # The plan lists the Routes again, by label, if the models have revisions. Here they have none.
    assert listed.count("Route") == 1


def test_a_deploy_without_changes_applies_nothing_and_takes_less_than_three_seconds_of_the_cpu(
    project: Project, cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    deploy_from(Registry(), project, cluster)
    cluster.applied.clear()
    capsys.readouterr()
    started = time.process_time()
    deploy_from(Registry(), load((FOLDER,), Flags(), environ={}), cluster)
    assert time.process_time() - started < 3
    assert cluster.applied == []
    assert "service/payment-model: unchanged" in capsys.readouterr().out


def test_a_replaced_model_is_refused_before_any_change(project: Project, cluster: FakeCluster) -> None:
    deploy_from(Registry(), project, cluster)
    cluster.applied.clear()
    with pytest.raises(PlanRefused, match="was replaced"):
        deploy_from(Registry("2" * 64), project, cluster)
    assert cluster.applied == []
