"""The configuration files of a pod are those of the ConfigMaps that it mounts."""

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
            id="selected keys with paths",
        ),
    ],
)
def test_only_mounted_config_maps_are_read(volume: dict[str, object], files: dict[str, str]) -> None:
    assert files_of_pod(deployment(container(), volumes=[{"name": "v", **volume}]), KNOWN) == files


@pytest.mark.parametrize(
    "volumes",
    [
        pytest.param(None, id="no volumes"),
        pytest.param("text", id="not a list"),
        pytest.param(["text", {"name": "v", "emptyDir": {}}], id="other volumes"),
        pytest.param([{"name": "v", "configMap": {"name": "elsewhere"}}], id="an unknown ConfigMap"),
    ],
)
def test_without_a_mounted_config_map_all_are_read(volumes: object) -> None:
    assert set(files_of_pod(deployment(container(), volumes=volumes), KNOWN)) == {"config.properties", "other"}
