"""What a pod says about the variant that it serves."""

import pytest

from knative.api.client import Answer, Cluster
from knative.api.errors import Forbidden
from knative.deploying.serving import Serving, parse, served_by
from tests.knative.deploying.test_report import READY, pod
from tests.knative.fake_cluster import FakeCluster

BODY = b'{"serving": {"variant": "original", "provider": "CPUExecutionProvider", "cpu_class": "amd-avx2"}}'
ORIGINAL = Serving(variant="original", provider="CPUExecutionProvider", cpu_class="amd-avx2")


def test_the_served_variant_is_read_from_the_description_of_the_model() -> None:
    assert parse(BODY) == ORIGINAL


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"serving": null}', b'{"serving": {"variant": "original"}}'])
def test_a_pod_that_has_not_loaded_its_model_or_is_older_says_nothing(body: bytes) -> None:
    assert parse(body) is None


def test_a_few_pods_of_a_model_are_asked() -> None:
    cluster = FakeCluster()
    pods = [pod(str(number), status=READY) for number in range(9)]
    cluster.answers = {str(number): Answer(200, BODY) for number in range(9)}
    assert served_by(cluster, pods) == {str(number): ORIGINAL for number in range(5)}


def test_without_the_right_to_reach_pods_there_are_no_answers() -> None:
    class Closed(FakeCluster):
        def pod_get(self, pod: str, path: str, *, port: int = 8080, timeout: float) -> Answer:
            request = f"pods/proxy of {pod}:{port}/{path} within {timeout} s"
            raise Forbidden("somebody", verb="get", resource=request, group="", namespace="default")

    cluster: Cluster = Closed()
    assert served_by(cluster, [pod("a", status=READY)]) == {}
