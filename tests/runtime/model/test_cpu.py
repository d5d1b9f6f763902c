"""The CPUs that a cgroup allows, read from trees as Linux lays them out."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from runtime.model.cpu import usable_cpus

Count = Callable[..., int]


@pytest.fixture(autouse=True)
def eight(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which eight CPUs may be used, whatever this one has."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))


@pytest.fixture
def count(tmp_path: Path) -> Count:
    """Count the CPUs of a process with that membership, under a tree with those files."""

    def counted(membership: str, files: Mapping[str, str]) -> int:
        (tmp_path / "membership").write_text(membership)
        for name, text in files.items():
            path = tmp_path / "cgroup" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text + "\n")
        return usable_cpus(tmp_path / "cgroup", tmp_path / "membership")

    return counted


@pytest.mark.parametrize(
    ("quota", "cpus"),
    [
        ("200000 100000", 2),
        ("250000 100000", 3),  # rounded up: half a CPU is better used by a thread than not at all
        ("10000 100000", 1),
        ("max 100000", 8),
        ("6400000 100000", 8),  # never more than there are
    ],
)
def test_v2_as_a_pod_sees_it(count: Count, quota: str, cpus: int) -> None:
    assert count("0::/\n", {"cpu.max": quota}) == cpus


def test_v2_the_tightest_enclosing_group_counts(count: Count) -> None:
    files = {"cpu.max": "max 100000", "a/cpu.max": "300000 100000", "a/b/cpu.max": "500000 100000"}
    assert count("0::/a/b\n", files) == 3


@pytest.mark.parametrize("mount", ["cpu,cpuacct", "cpu"])
def test_v1_under_either_name_of_its_mount(count: Count, mount: str) -> None:
    files = {f"{mount}/pod/cpu.cfs_quota_us": "150000", f"{mount}/pod/cpu.cfs_period_us": "100000"}
    assert count("5:memory:/pod\n4:cpu,cpuacct:/pod\n", files) == 2


def test_v1_as_a_pod_sees_it(count: Count) -> None:
    """The membership names the host's path, the tree begins at the pod's own group."""
    files = {"cpu/cpu.cfs_quota_us": "400000", "cpu/cpu.cfs_period_us": "100000"}
    assert count("4:cpu,cpuacct:/kubepods/burstable/pod1\n", files) == 4


def test_v1_without_a_limit(count: Count) -> None:
    assert count("4:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}) == 8


def test_hybrid_trees_are_read_too(count: Count) -> None:
    assert count("4:memory:/\n0::/s\n", {"unified/s/cpu.max": "100000 100000"}) == 1


def test_without_cgroups_all_schedulable_cpus_count(count: Count, tmp_path: Path) -> None:
    assert count("", {}) == 8
    assert usable_cpus(tmp_path / "none", tmp_path / "none too") == 8


def test_this_machine_has_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert 1 <= usable_cpus() <= len(os.sched_getaffinity(0))
