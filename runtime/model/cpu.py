"""How many CPUs this process may use: the cgroup's quota, which ONNX Runtime does not look at (design decision 5).

Source: Linux, Documentation/admin-guide/cgroup-v2.rst (`cpu.max`) and cgroup-v1 CFS bandwidth control.
"""

import math
import os
from pathlib import Path


def usable_cpus(root: Path = Path("/sys/fs/cgroup"), membership: Path = Path("/proc/self/cgroup")) -> int:
    """The quota of the tightest enclosing cgroup, rounded up, and never more than the CPUs we may be scheduled on."""
    scheduled = len(os.sched_getaffinity(0))
    quotas = [quota for folder in _folders(root, membership) if (quota := _quota(folder)) is not None]
    return max(1, min([scheduled, *map(math.ceil, quotas)]))


def _folders(root: Path, membership: Path) -> list[Path]:
    """Our cgroup and those around it, as v2 (`0::/path`) and v1 (`4:cpu,cpuacct:/path`) mount them."""
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
    """CPUs that the folder's quota allows, or None where there is no limit."""
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
