"""A pod reads the files of the ConfigMaps that it mounts, and of no other."""

import pytest

from knative.importing import files_of_pod
from tests.knative.importing.deployments import container, deployment

KNOWN = {"mine": {"config.properties": "mine", "other": "2"}, "theirs": {"config.properties": "theirs"}}


@pytest.mark.parametrize(
    ("volume", "files"),
    [
        pytest.param({"configMap": {"name": "mine"}}, KNOWN["mine"], id="a volume"),
        pytest.param({"projected": {"sources": [{"configMap": {"name": "mine"}}]}}, KNOWN["mine"], id="part of one"),
        pytest.param(
            {
                "configMap": {
                    "name": "mine",
                    "items": [{"key": "other", "path": "etc/a.txt"}, {"key": "no", "path": "b"}],
                }
            },
            {"a.txt": "2"},
            id="some keys, by their paths",
        ),
    ],
)
def test_what_is_mounted_is_read_alone(volume: dict[str, object], files: dict[str, str]) -> None:
    assert files_of_pod(deployment(container(), volumes=[{"name": "v", **volume}]), KNOWN) == files


@pytest.mark.parametrize(
    "volumes",
    [
        pytest.param(None, id="no volumes"),
        pytest.param("text", id="no list"),
        pytest.param(["text", {"name": "v", "emptyDir": {}}], id="other volumes"),
        pytest.param([{"name": "v", "configMap": {"name": "elsewhere"}}], id="a ConfigMap that is not here"),
    ],
)
def test_where_none_of_them_is_mounted_all_are_looked_at(volumes: object) -> None:
    assert set(files_of_pod(deployment(container(), volumes=volumes), KNOWN)) == {"config.properties", "other"}
