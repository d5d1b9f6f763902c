"""A deploy reads every file once, looks up every model once, and is fast if nothing has changed."""

import shutil
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from knative.commands.deploy import DeployOptions, deploy
from knative.commands.plan import lines, make_plan
from knative.deploying.errors import PlanRefused
from knative.deploying.guests import codes_in
from knative.function.configuration import Flags
from knative.function.pins import PublishedVariants
from knative.function.project import Project, load
from knative.objects import Manifest, Ref
from runtime.configuration.guest_code import GuestCodes
from runtime.registry import AlreadyPublished, Publication, Published, add_code, find, publish, publish_guest
from runtime.wasm.engine import CodeKey, code_key
from tests import ROOT, guests, models
from tests.knative.documents import version
from tests.knative.fake_cluster import FakeCluster
from tests.knative.resources.test_guest import CONFIG
from tests.s3_server import S3Server

ARM = CodeKey("wasmtime-50.0.1-1", "arm-i8mm")
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


@pytest.fixture
def with_guest(s3: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[Project, str]:
    """Publish a model for a folder with a guest; return the project, and where the guest will be published."""
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    s3.make_bucket("functions")
    place = f"s3://functions/{tmp_path.name}"
    model, guest = f"{place}/m.onnx", f"{place}/main.wasm"
    publish(models.identity(tmp_path / "m.onnx"), model, metadata={})
    (tmp_path / ".git").mkdir()  # the search for func.yaml ends here
    guests.write(tmp_path / "main.wasm", guests.ECHO)
    config = CONFIG.replace("GUEST", f"{{path: {guest}}}")
    (tmp_path / "model.yaml").write_text(version("shop-v1", "shop", path=model) + config)
    flags = Flags(image="dev.local/scalezero:0.1-wasm", s3_secret="scalezero-s3")  # noqa: S106 - a name
    return load((tmp_path,), flags, environ={}), guest


def deploy_guest(project: Project, cluster: FakeCluster, *, publish: bool = True) -> None:
    assert project.guest is not None
    deploy(
        project,
        cluster,
        project.guest.parent,
        find=find,
        options=DeployOptions(timeout=60, publish=publish),
        complete=has_manifest,
        variants=no_variants,
    )


def pinned_code(cluster: FakeCluster) -> GuestCodes:
    return codes_in(cluster.objects[Ref("Revision", "shop-v1")])


def test_a_deploy_publishes_the_guest_and_pins_the_code_of_every_machine(
    with_guest: tuple[Project, str], cluster: FakeCluster
) -> None:
    project, uri = with_guest
    assert project.guest is not None
    publish_guest(project.guest, uri, key=ARM)
    deploy_guest(project, cluster)
    assert {each[:2] for each in pinned_code(cluster)} == {ARM, code_key()}


def test_a_deploy_after_code_was_added_keeps_the_revision(
    with_guest: tuple[Project, str], cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    project, uri = with_guest
    deploy_guest(project, cluster)
    revision = cluster.objects[Ref("Revision", "shop-v1")]
    add_code(uri, key=ARM)
    deploy_guest(project, cluster)
    assert cluster.objects[Ref("Revision", "shop-v1")] == revision
    assert {each[:2] for each in pinned_code(cluster)} == {code_key()}
    planned = "\n".join(lines(make_plan(project, cluster, find=find, variants=no_variants, force=False).plan))
    assert "= revision/shop-v1  keep: the registry now has compiled code of the guest for arm-i8mm" in planned
    assert planned.endswith("nothing to do")
    assert "note:" not in capsys.readouterr().err


def test_a_plan_names_a_guest_that_was_built_again_and_a_deploy_refuses_it(
    with_guest: tuple[Project, str], cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    project, uri = with_guest
    deploy_guest(project, cluster)
    assert project.guest is not None
    guests.write(project.guest, guests.TRAP)
    make_plan(project, cluster, find=find, variants=no_variants, force=False)
    note = capsys.readouterr().err
    assert "note: the main.wasm of the folder (SHA-256 " in note
    assert f"is not the guest at {uri} (SHA-256 " in note
    with pytest.raises(AlreadyPublished, match=r"set guest\.path of the InferenceConfig to an unused URI"):
        deploy_guest(project, cluster)
    deploy_guest(project, cluster, publish=False)
    assert "warning guest-changed: " in capsys.readouterr().out
