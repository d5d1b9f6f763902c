from typing import Any

import pytest

from knative.deploying.kept_traffic import pinned, tagged, traffic_owner
from knative.manifests.names import MANAGER
from knative.objects import Manifest


def service(*traffic: dict[str, Any], ready: str | None = "m-v1", managers: tuple[str, ...] = ()) -> Manifest:
    fields: Manifest = {"f:spec": {"f:traffic": {}}}
    written = [{"manager": each, "operation": "Apply", "fieldsV1": fields} for each in managers]
    status: Manifest = {"latestReadyRevisionName": ready} if ready else {}
    return {"metadata": {"managedFields": written}, "spec": {"traffic": [*traffic]}, "status": status}


def test_traffic_to_the_latest_revision_stays_with_the_one_that_gets_it() -> None:
    live = service({"latestRevision": True, "percent": 100, "url": "http://m"})
    assert pinned(live["spec"]["traffic"], live) == [{"revisionName": "m-v1", "percent": 100}]


def test_traffic_to_the_latest_revision_has_no_name_before_one_was_ready() -> None:
    live = service({"latestRevision": True, "percent": 100}, ready=None)
    assert pinned(live["spec"]["traffic"], live) == [{"latestRevision": True, "percent": 100}]


def test_a_new_revision_gets_its_tag_and_no_traffic() -> None:
    live = service({"revisionName": "m-v1", "percent": 100, "tag": "v1"})
    wanted = service({"revisionName": "m-v1", "percent": 50}, {"revisionName": "m-v2", "percent": 50, "tag": "v2"})
    assert tagged(live, wanted) == [
        {"revisionName": "m-v1", "percent": 100, "tag": "v1"},
        {"revisionName": "m-v2", "percent": 0, "tag": "v2"},
    ]


@pytest.mark.parametrize(
    ("managers", "owner"), [((), None), ((MANAGER,), None), (("kn",), "kn"), ((MANAGER, "kn"), None)]
)
def test_the_owner_of_traffic_is_another_manager(managers: tuple[str, ...], owner: str | None) -> None:
    assert traffic_owner(service(managers=managers)) == owner
