"""Fixtures for all tests."""

import signal
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import coverage
import pytest
from hypothesis import HealthCheck, settings

from runtime.errors import ProviderUnavailable
from runtime.model import providers
from runtime.variants.values import OPENVINO_PROVIDER
from tests import s3_server

# The duration of an example, and of its generation, depends on the machine. pytest's timeout detects tests that hang.
settings.register_profile(
    "scalezero", max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.register_profile("thorough", settings.get_profile("scalezero"), max_examples=1000)
settings.load_profile("scalezero")

# A shell starts a background command with SIGINT ignored, and the processes that the tests start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

HERE = Path(__file__).parent
OTHER_PROGRAMS = tuple(HERE / name for name in ("cluster", "conformance", "fuzz", "scripts"))
SERVERS = (HERE / "runtime" / "frontends", HERE / "runtime" / "http")
PURE = HERE / "runtime" / "frontends" / "openapi"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """If processes share the files, put the files first that take longest, so that no process ends long after others.

    Those are the files that run other programs, some of which must be installed, and then those with the most tests.
    """
    if hasattr(config, "workerinput"):
        tests = Counter(item.path for item in items)
        items.sort(key=lambda item: (not _runs_other_programs(item), -tests[item.path], item.path))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Do not measure the coverage of tests that call a server in its own process: it would be that of their client."""
    with unmeasured() if _calls_another_process(item) else nullcontext():
        return (yield)


@contextmanager
def unmeasured() -> Iterator[None]:
    """Pause the measurement of coverage, which doubles the time of Python code."""
    measuring = coverage.Coverage.current()
    if measuring is not None:
        measuring.stop()
    try:
        yield
    finally:
        if measuring is not None:
            measuring.start()


def _calls_another_process(item: pytest.Item) -> bool:
    if _runs_other_programs(item):
        return True
    starts_server = hasattr(getattr(item, "module", None), "serving")
    folders = item.path.parents
    return starts_server and any(each in folders for each in SERVERS) and PURE not in folders


def _runs_other_programs(item: pytest.Item) -> bool:
    return any(each in item.path.parents for each in OTHER_PROGRAMS)


@pytest.fixture(scope="session")
def s3() -> Iterator[s3_server.S3Server]:
    """A real S3 server for the whole run. Each test uses its own names of buckets or keys."""
    with s3_server.running() as server:
        yield server


@pytest.fixture(scope="session")
def openvino() -> str:
    """The name of OpenVINO's provider. Tests with it are skipped on a CPU for which OpenVINO offers no device."""
    try:
        providers.devices(OPENVINO_PROVIDER)
    except ProviderUnavailable as error:
        if "offers no device" not in error.message:
            raise
        pytest.skip(error.message)
    return OPENVINO_PROVIDER
