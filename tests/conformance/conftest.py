"""A longer timeout: the first test that needs a client installs it, which takes minutes without cached packages."""

from pathlib import Path

import pytest

TIMEOUT = 900  # seconds


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(TIMEOUT))
