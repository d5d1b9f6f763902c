"""The number of CPUs that this process may use: the quota of its cgroup, which ONNX Runtime ignores.

Source: Linux, Documentation/admin-guide/cgroup-v2.rst (`cpu.max`) and cgroup-v1 CFS bandwidth control.
"""

import math
import os
from pathlib import Path


def usable_cpus(root: Path = Path("/sys/fs/cgroup"), membership: Path = Path("/proc/self/cgroup")) -> int:
    """Return the smallest quota of the enclosing cgroups, rounded up; at most the CPUs in the process affinity."""
    scheduled = len(os.sched_getaffinity(0))
    quotas = [quota for folder in _folders(root, membership) if (quota := _quota(folder)) is not None]
    return max(1, min([scheduled, *map(math.ceil, quotas)]))


def _folders(root: Path, membership: Path) -> list[Path]:
    """Return the folders of our cgroup and its parents, in v2 (`0::/path`) and v1 (`4:cpu,cpuacct:/path`)."""
    found: list[Path] = []
    for line in _read(membership).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        mounts = [root / controllers, root / "cpu"] if controllers else [root, root / "unified"]
        inside = Path(path.lstrip("/"))
        found += [mount / folder for mount in mounts for folder in (inside, *inside.parents)]
    return found


def _quota(folder: Path) -> float | None:
    """Return the number of CPUs that the quota in this folder allows; None: no limit."""
    if text := _read(folder / "cpu.max"):
        quota, period = text.split()
        return None if quota == "max" else int(quota) / int(period)
    quota, period = _read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")
    return int(quota) / int(period) if quota and period and int(quota) > 0 else None


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
