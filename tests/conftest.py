"""What every test may ask for."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests import s3_server

# How long an example takes depends on the machine; pytest's timeout finds what hangs.
settings.register_profile("scalezero", deadline=None)
settings.load_profile("scalezero")


@pytest.fixture(scope="session")
def s3() -> Iterator[s3_server.S3Server]:
    """A real S3 server, one for the whole run: take bucket or key names of your own."""
    with s3_server.running() as server:
        yield server
