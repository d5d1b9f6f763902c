"""Tests with several processes: a shared download, kill -9, a full disk, memory use, and the imports of a pull."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping

import pytest

from runtime.artifacts.policy import MIB
from runtime.errors import DiskFull
from tests.runtime.artifacts.conftest import KIB, Bench
from tests.runtime.faulty_s3 import Fault
from tests.waiting import DEADLINE, eventually

Bytes = Callable[[int], bytes]

FETCH = """
import sys, pathlib
from runtime.artifacts.fetch import fetch
artifact = fetch(sys.argv[1], cache_dir=pathlib.Path(sys.argv[2]))
print(artifact.sha256, artifact.from_cache, flush=True)
"""

# VmHWM starts at 0 with the new program. ru_maxrss would start at the size of the test process.
PEAK = """
import re, sys, pathlib
from runtime.artifacts.fetch import fetch
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1])
before = peak()
artifact = fetch(sys.argv[1], cache_dir=pathlib.Path(sys.argv[2]))
print(artifact.sha256, peak() - before)
"""


def start(
    bench: Bench, program: str, uri: str, *, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    environment = dict(os.environ) | dict(environment or bench.environment())
    command = [sys.executable, "-c", program, uri, str(bench.cache_dir)]
    return subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def result(process: subprocess.Popen[str]) -> list[str]:
    printed, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0
    return printed.split()


def test_processes_that_fetch_the_same_object_share_one_download(bench: Bench, random_bytes: Bytes) -> None:
    stored = bench.put(random_bytes(200 * KIB))
    bench.faulty.add(Fault(bytes_per_second=200 * KIB))
    processes = [start(bench, FETCH, stored.uri) for _ in range(3)]
    answers = sorted(result(process) for process in processes)
    assert len(bench.faulty.downloads(stored.path)) == 1
    assert answers == [[stored.sha256, "False"], [stored.sha256, "True"], [stored.sha256, "True"]]


def test_the_partial_files_of_a_killed_process_are_removed_by_the_next_pull(bench: Bench, random_bytes: Bytes) -> None:
    stored, other = bench.put(random_bytes(400 * KIB)), bench.put(b"another model")
    bench.faulty.add(Fault(path=stored.path, bytes_per_second=100 * KIB))
    process = start(bench, FETCH, stored.uri)
    eventually(lambda: any(path.stat().st_size > 50 * KIB for path in bench.cache_dir.glob("partial/*")))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert bench.leftovers()
    assert not list(bench.cache_dir.glob("blobs/*"))

    bench.faulty.heal()
    bench.fetch(other.uri)
    assert bench.leftovers() == []
    assert bench.fetch(stored.uri).path.read_bytes() == stored.body


def test_the_sweep_keeps_the_partial_file_of_a_running_pull(bench: Bench, random_bytes: Bytes) -> None:
    slow, quick = bench.put(random_bytes(200 * KIB)), bench.put(b"another model")
    bench.faulty.add(Fault(path=slow.path, bytes_per_second=200 * KIB))
    process = start(bench, FETCH, slow.uri)
    eventually(lambda: any(path.stat().st_size for path in bench.cache_dir.glob("partial/*")))
    bench.fetch(quick.uri)
    assert len(list(bench.cache_dir.glob("partial/*"))) == 1
    assert result(process) == [slow.sha256, "False"]


def test_a_replaced_object_is_removed_when_no_process_uses_it(bench: Bench) -> None:
    stored, other = bench.put(b"old"), bench.put(b"another model")

    def cached() -> set[bytes]:
        return {path.read_bytes() for path in bench.cache_dir.glob("blobs/*")}

    with start(bench, FETCH + "sys.stdin.read()", stored.uri) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline()
        bench.overwrite(stored, b"new")
        result(start(bench, FETCH, stored.uri))
        assert cached() == {b"old", b"new"}
        holder.stdin.close()
    result(start(bench, FETCH, other.uri))
    assert cached() == {b"new", b"another model"}


def test_memory_use_does_not_depend_on_the_size_of_the_object(bench: Bench) -> None:
    block = os.urandom(MIB)
    stored = bench.put(block * 256)
    digest, grown = result(start(bench, PEAK, stored.uri, environment=bench.s3.environment()))
    assert digest == stored.sha256
    assert int(grown) < 64 * 1024, "KiB"


@pytest.fixture
def tiny_disk(bench: Bench) -> Iterator[Bench]:
    """Yield a bench whose cache is on a file system of 1 MiB."""
    bench.cache_dir.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", bench.cache_dir], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"mounting is not allowed here: {mounted.stderr.decode().strip()}")
    try:
        yield bench
    finally:
        subprocess.run(["umount", "--lazy", bench.cache_dir], check=True)


def test_a_full_disk_is_an_error_and_leaves_no_files(tiny_disk: Bench, random_bytes: Bytes) -> None:
    large, small = tiny_disk.put(random_bytes(1200 * KIB)), tiny_disk.put(random_bytes(700 * KIB))
    with pytest.raises(DiskFull, match="1228800 bytes needed, 1048576 bytes free") as raised:
        tiny_disk.fetch(large.uri)
    assert tiny_disk.faulty.downloads(large.path) == [] or str(tiny_disk.cache_dir) not in str(raised.value)
    assert tiny_disk.leftovers() == []
    assert tiny_disk.fetch(small.uri).path.read_bytes() == small.body


def test_a_file_size_limit_is_reported_as_a_full_disk(bench: Bench, random_bytes: Bytes) -> None:
    """Writes beyond RLIMIT_FSIZE fail, also on a machine where mounting is not allowed."""
    stored = bench.put(random_bytes(300 * KIB))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100 * KIB, limits[1]))
    try:
        with pytest.raises(DiskFull):
            bench.fetch(stored.uri)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert bench.leftovers() == []
    assert bench.fetch(stored.uri).sha256 == stored.sha256


def test_a_pull_without_errors_imports_no_heavy_library(bench: Bench) -> None:
    stored = bench.put(b"content")
    program = """
import sys, pathlib
heavy = {"asyncio", "boto3", "botocore", "filelock", "flask", "http", "numpy", "onnxruntime", "tenacity"}
from runtime.artifacts.fetch import fetch
print(sorted(heavy & set(sys.modules)))
fetch(sys.argv[1], cache_dir=pathlib.Path(sys.argv[2]))
print(sorted(heavy & set(sys.modules)))
"""
    printed, _ = start(bench, program, stored.uri).communicate(timeout=DEADLINE)
    assert printed.splitlines() == ["[]", "[]"]
