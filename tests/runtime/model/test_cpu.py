"""The number of CPUs that a cgroup allows, read from file trees in the layouts of Linux."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from runtime.model.cpu import usable_cpus

Count = Callable[..., int]


@pytest.fixture(autouse=True)
def eight(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that the process may use eight CPUs."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))


@pytest.fixture
def count(tmp_path: Path) -> Count:
    """Return a function that counts the CPUs for a membership file and a tree of files."""

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
        ("250000 100000", 3),  # rounded up, so that half a CPU is used by a thread
        ("10000 100000", 1),
        ("max 100000", 8),
        ("6400000 100000", 8),  # at most the CPUs of the machine
    ],
)
def test_v2_in_a_pod(count: Count, quota: str, cpus: int) -> None:
    assert count("0::/\n", {"cpu.max": quota}) == cpus


def test_v2_uses_the_smallest_quota_of_the_enclosing_groups(count: Count) -> None:
    files = {"cpu.max": "max 100000", "a/cpu.max": "300000 100000", "a/b/cpu.max": "500000 100000"}
    assert count("0::/a/b\n", files) == 3


@pytest.mark.parametrize("mount", ["cpu,cpuacct", "cpu"])
def test_v1_with_both_names_of_its_mount(count: Count, mount: str) -> None:
    files = {f"{mount}/pod/cpu.cfs_quota_us": "150000", f"{mount}/pod/cpu.cfs_period_us": "100000"}
    assert count("5:memory:/pod\n4:cpu,cpuacct:/pod\n", files) == 2


def test_v1_in_a_pod(count: Count) -> None:
    """The membership has the path on the host, and the root of the tree is the pod's group."""
    files = {"cpu/cpu.cfs_quota_us": "400000", "cpu/cpu.cfs_period_us": "100000"}
    assert count("4:cpu,cpuacct:/kubepods/burstable/pod1\n", files) == 4


def test_v1_without_a_limit(count: Count) -> None:
    assert count("4:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}) == 8


def test_hybrid_trees_are_read(count: Count) -> None:
    assert count("4:memory:/\n0::/s\n", {"unified/s/cpu.max": "100000 100000"}) == 1


def test_without_cgroups_the_affinity_decides(count: Count, tmp_path: Path) -> None:
    assert count("", {}) == 8
    assert usable_cpus(tmp_path / "none", tmp_path / "none too") == 8


def test_this_machine_has_at_least_one_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert 1 <= usable_cpus() <= len(os.sched_getaffinity(0))
