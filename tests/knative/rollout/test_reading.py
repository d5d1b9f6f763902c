"""Reading the objects of Knative, and writing a split without changing anything else."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knative.rollout import reading
from knative.rollout.errors import AmbiguousRevision, UnknownRevision
from knative.rollout.reading import ConditionState, Pod, live_split, settled, traffic
from knative.rollout.split import Share, Split, is_same
from tests.knative.rollout.manifests import pod, revision, service, target
from tests.knative.rollout.strategies import REVISIONS, splits

LATEST = {"latestRevision": True, "percent": 100}


def test_a_live_split_adds_the_entries_of_each_revision() -> None:
    live = live_split(
        service(target("m-v1", 60, tag="a"), target("m-v1", 30), target("m-v2", 10), target("m-v3", tag="c"))
    )
    assert live == (Share("m-v1", 90), Share("m-v2", 10))


def test_traffic_to_the_latest_revision_belongs_to_the_latest_ready_one() -> None:
    assert live_split(service(LATEST)) == (Share("m-v2", 100),)


entries = st.lists(
    st.tuples(st.sampled_from(REVISIONS), st.sampled_from(["", "a", "b", "c"])),
    max_size=5,
    unique_by=lambda each: each[1],
)


@given(existing=entries, split=splits())
def test_a_written_split_is_read_as_the_same_split_and_keeps_every_tag(
    existing: list[tuple[str, str]], split: Split
) -> None:
    before = [target(name, 0, **({"tag": tag} if tag else {})) for name, tag in existing]
    written = traffic(service(*before), split)
    assert is_same(live_split(service(*written)), split)
    assert sum(each["percent"] for each in written) == 100
    tagged = [(each["revisionName"], each["tag"]) for each in written if "tag" in each]
    assert tagged == [(name, tag) for name, tag in existing if tag]


def test_a_written_entry_has_a_revision_name_and_only_keeps_its_tag() -> None:
    live = service({**LATEST, "tag": "now"}, target("m-v1", 0), target("m-v3", 0, tag="old"))
    assert traffic(live, (Share("m-v2", 70), Share("m-v1", 30))) == [
        {"revisionName": "m-v2", "percent": 70, "tag": "now"},
        {"revisionName": "m-v1", "percent": 30},
        {"revisionName": "m-v3", "percent": 0, "tag": "old"},
    ]
    assert traffic(live, (Share("m-v2", 100),)) == [
        {"revisionName": "m-v2", "percent": 100, "tag": "now"},
        {"revisionName": "m-v3", "percent": 0, "tag": "old"},
    ]


@pytest.mark.parametrize(
    ("status", "is_settled"),
    [
        pytest.param({}, True, id="the same split"),
        pytest.param({"observedGeneration": 2}, False, id="an earlier generation"),
        pytest.param({"traffic": [target("m-v1", 50), target("m-v2", 50)]}, False, id="another split"),
        pytest.param({"traffic": None}, False, id="no split yet"),
        pytest.param({"conditions": []}, False, id="no condition"),
        pytest.param(
            {"conditions": [{"type": "RoutesReady", "status": "Unknown"}]}, False, id="the condition is Unknown"
        ),
        pytest.param(
            {"conditions": [{"type": "Ready", "status": "False"}, {"type": "RoutesReady", "status": "True"}]},
            True,
            id="a new revision cannot start",
        ),
    ],
)
def test_a_split_is_settled_when_the_route_has_applied_it(status: dict[str, Any], *, is_settled: bool) -> None:
    assert settled(service(target("m-v1", 95), target("m-v2", 5), **status)).status is is_settled


def test_a_service_without_a_status_is_not_settled() -> None:
    assert settled({**service(target("m-v1", 100)), "status": None}) == ConditionState(
        status=False, reason="Knative has not reported a condition yet"
    )


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        (revision("m-v1"), ConditionState(status=True, reason="Why")),
        (revision("m-v1", ready="False", message="it\n fell"), ConditionState(status=False, reason="it fell")),
        (revision("m-v1", ready="Unknown"), ConditionState(status=None, reason="Why")),
        (revision("m-v1", ready=None), ConditionState(status=None, reason="Knative has not reported a condition yet")),
    ],
)
def test_a_condition_has_a_status_or_none_and_a_reason(manifest: dict[str, Any], expected: ConditionState) -> None:
    assert reading.condition(manifest, "Ready") == expected


def test_a_pod_is_ready_by_its_condition_unless_it_is_terminating() -> None:
    assert reading.pod_of(pod("a", restarts=2)) == Pod("a", "m-v2", ready=True, restarts=2)
    assert not reading.pod_of(pod("a", ready="False")).ready
    assert not reading.pod_of(pod("a", deletionTimestamp="2026-01-01T00:00:00Z")).ready
    new = {"metadata": {"name": "a", "labels": {}}}
    assert reading.pod_of(new) == Pod("a", "", ready=False, restarts=0)


def test_the_writer_of_a_split_is_named_by_manager_and_user() -> None:
    assert reading.changed_by(service(target("m-v1", 100))) == "kn (user admin)"
    assert reading.changed_by({"metadata": {}}) == "another writer"
    bare = {"metadata": {"managedFields": [{"manager": "kn", "fieldsV1": {"f:spec": {"f:traffic": {}}}}, {}]}}
    assert reading.changed_by(bare) == "kn"


DEPLOYED = [revision("m-v1", version="1.0.0"), revision("m-v2", version="2.0.0"), revision("m-00003")]


@pytest.mark.parametrize(
    ("value", "name"),
    [
        pytest.param("m-v2", "m-v2", id="its name"),
        pytest.param("stable", "m-v1", id="its tag"),
        pytest.param("v2", "m-v2", id="its name without the prefix of the model"),
        pytest.param("2.0.0", "m-v2", id="its model version"),
        pytest.param("00003", "m-00003", id="a name that Knative generated"),
    ],
)
def test_a_revision_is_found_by_name_suffix_tag_or_version(value: str, name: str) -> None:
    live = service(target("m-v1", 100, tag="stable"), target("m-v2", 0))
    assert reading.find_revision(value, live, DEPLOYED)["metadata"]["name"] == name


def test_a_tag_takes_precedence_over_the_suffix_of_a_name() -> None:
    live = service(target("m-v1", 100, tag="v2"))
    assert reading.find_revision("v2", live, DEPLOYED)["metadata"]["name"] == "m-v1"


def test_an_unknown_revision_is_refused_with_the_existing_ones() -> None:
    with pytest.raises(UnknownRevision) as caught:
        reading.find_revision("v9", service(target("m-v1", 100, tag="stable")), DEPLOYED)
    assert str(caught.value) == (
        "--to='v9': m has no such revision; available: m-v1 (stable, 1.0.0), m-v2 (2.0.0), m-00003"
    )
    with pytest.raises(UnknownRevision, match="available: none"):
        reading.find_revision("v9", service(target("m-v1", 100)), [])


def test_a_version_of_two_revisions_is_ambiguous() -> None:
    labelled = revision("m-b")
    labelled["metadata"]["labels"] = {"app.kubernetes.io/version": "2.0.0"}
    with pytest.raises(AmbiguousRevision, match="m-v2 and m-b"):
        reading.find_revision("2.0.0", service(target("m-v1", 100)), [*DEPLOYED, labelled])


def test_another_route_to_the_same_revisions_is_found() -> None:
    own = {"metadata": {"name": "m-ab"}, "spec": {"traffic": [target("m-v1", 50), target("m-v2", 50)]}}
    other = {"metadata": {"name": "x"}, "spec": {"traffic": [target("x-v1", 100)]}}
    of_the_service = {"metadata": {"name": "m", "ownerReferences": [{}]}, "spec": {"traffic": [target("m-v1", 100)]}}
    empty = {"metadata": {"name": "new"}, "spec": {}}
    assert reading.other_routes([own, other, of_the_service, empty], (Share("m-v1", 100),)) == ["m-ab"]


def test_a_split_that_follows_the_latest_revision_is_detected() -> None:
    assert reading.follows_latest(service(LATEST))
    assert not reading.follows_latest(service(target("m-v1", 100)))


def test_a_revision_has_the_url_of_its_tag() -> None:
    routed = [target("m-v1", 100), target("m-v2", 0, tag="v2", url="http://v2-m.default.example")]
    live = service(target("m-v1", 100), traffic=routed)
    assert reading.tag_url(live, "m-v2") == "http://v2-m.default.example"
    assert reading.tag_url(live, "m-v1") is None
    assert reading.tag_url({}, "m-v1") is None
