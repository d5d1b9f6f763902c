"""The errors for an API server's refusals. The answers are copied from a real one (Kubernetes 1.34, Knative 1.21)."""

import json

import pytest

from knative.api.errors import (
    ClusterError,
    ClusterUnreachable,
    Conflict,
    EventingMissing,
    Forbidden,
    KnativeMissing,
    NotInCluster,
    NotLoggedIn,
    Outrun,
    RefusedByCluster,
)
from knative.api.refusals import refusal, status_of

PATH = "/apis/serving.knative.dev/v1/namespaces/shop/services/x"
USER = 'User "system:serviceaccount:shop:nobody" cannot'


def error_for(code: int, body: bytes, path: str = PATH) -> ClusterError:
    return refusal(code, body, what="service/x", path=path, address="https://cluster:6443", context="mine")


def status(reason: str | None, message: str, **details: object) -> bytes:
    fields = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message}
    return json.dumps({**fields, **({"reason": reason} if reason else {}), "details": details}).encode()


@pytest.mark.parametrize(
    ("code", "body", "kind", "sentence"),
    [
        pytest.param(
            401,
            status("Unauthorized", "Unauthorized"),
            NotLoggedIn,
            "the cluster at https://cluster:6443 does not accept the credentials of context 'mine'; log in again",
            id="unknown credentials",
        ),
        pytest.param(
            403,
            status(
                "Forbidden",
                f'services.serving.knative.dev "x" is forbidden: {USER} get resource "services" in API group '
                '"serving.knative.dev" in the namespace "shop"',
            ),
            Forbidden,
            "system:serviceaccount:shop:nobody cannot get services in namespace shop; ask for a Role with {apiGroups: "
            "[serving.knative.dev], resources: [services], verbs: [get]} "
            "(scalezero render --role prints a complete one)",
            id="a permission in a namespace",
        ),
        pytest.param(
            403,
            status(
                "Forbidden",
                f'nodes is forbidden: {USER} list resource "nodes" in API group "" at the cluster scope',
            ),
            Forbidden,
            "system:serviceaccount:shop:nobody cannot list nodes in the whole cluster; ask for a ClusterRole with "
            '{apiGroups: [""], resources: [nodes], verbs: [list]} (scalezero render --role prints a complete one)',
            id="a permission in the whole cluster",
        ),
        pytest.param(
            403,
            status("Forbidden", 'pods "x" is forbidden: exceeded quota: small, requested: cpu=1, limited: cpu=0'),
            RefusedByCluster,
            'service/x: refused by the cluster: pods "x" is forbidden: exceeded quota: small, requested: cpu=1, '
            "limited: cpu=0",
            id="a quota, which is not a missing permission",
        ),
        pytest.param(
            404,
            status("NotFound", 'namespaces "shop" not found', name="shop", kind="namespaces"),
            NotInCluster,
            "the cluster has no namespace 'shop'; create it: kubectl create namespace shop",
            id="a namespace",
        ),
        pytest.param(
            404,
            status("NotFound", 'services.serving.knative.dev "x" not found', name="x", kind="services"),
            NotInCluster,
            "the cluster has no service 'x'",
            id="an object",
        ),
        pytest.param(
            409,
            status(
                "Conflict",
                'Apply failed with 1 conflict: conflict with "kn" using serving.knative.dev/v1: .spec.traffic',
                causes=[
                    {
                        "reason": "FieldManagerConflict",
                        "message": 'conflict with "kn" using serving.knative.dev/v1',
                        "field": ".spec.traffic",
                    }
                ],
            ),
            Conflict,
            "service/x: another manager wrote spec.traffic (owned by kn); --force-conflicts overwrites it",
            id="a field of another manager",
        ),
        pytest.param(
            409,
            status("Conflict", "", causes=[{"reason": "FieldManagerConflict", "message": "two of them"}]),
            Conflict,
            "service/x: another manager wrote a field (owned by two of them); --force-conflicts overwrites it",
            id="a conflict with an unknown message",
        ),
        pytest.param(
            409,
            status(
                "Conflict",
                'Operation cannot be fulfilled on services.serving.knative.dev "x": the object has been modified; '
                "please apply your changes to the latest version and try again",
                name="x",
            ),
            Outrun,
            "service/x changed during the command; run it again",
            id="another version of the object",
        ),
        pytest.param(
            400,
            status(
                "BadRequest",
                'admission webhook "validation.webhook.serving.knative.dev" denied the request: validation failed: '
                'Failed to parse image reference: spec.template.spec.containers[0].image\nimage: "x", error: could not '
                "parse reference: x\nTraffic targets sum to 30, want 100: spec.traffic",
            ),
            RefusedByCluster,
            "service/x: refused by the cluster: validation failed: Failed to parse image reference: "
            'spec.template.spec.containers[0].image; image: "x", error: could not parse reference: x; '
            "Traffic targets sum to 30, want 100: spec.traffic",
            id="Knative's admission",
        ),
        pytest.param(
            500,
            status(None, "failed to create typed patch object: .spec.foo: field not declared in schema"),
            RefusedByCluster,
            "service/x: refused by the cluster: failed to create typed patch object: .spec.foo: field not declared in "
            "schema",
            id="a field that is not in the schema",
        ),
        pytest.param(
            404,
            b"404 page not found\n",
            KnativeMissing,
            "the cluster at https://cluster:6443 has no Knative Serving: the API serving.knative.dev/v1 is missing",
            id="a cluster without Knative",
        ),
        pytest.param(
            502,
            b"<html>\n  Bad Gateway\n</html>",
            ClusterUnreachable,
            "the cluster at https://cluster:6443 does not answer: 502 <html> Bad Gateway </html>",
            id="a proxy that cannot reach the API server",
        ),
        pytest.param(
            418,
            b"a teapot",
            RefusedByCluster,
            "service/x: refused by the cluster: 418 a teapot",
            id="a proxy that refuses the request",
        ),
    ],
)
def test_each_refusal_becomes_one_sentence_with_the_next_step(
    code: int, body: bytes, kind: type[ClusterError], sentence: str
) -> None:
    error = error_for(code, body)
    assert (type(error), str(error)) == (kind, sentence)


def test_knative_is_missing_only_if_its_api_was_requested() -> None:
    error = error_for(404, b"404 page not found\n", path="/apis/apps/v1/namespaces/shop/deployments/x")
    assert type(error) is RefusedByCluster


@pytest.mark.parametrize("body", [b"", b"ready", b"[]", b'{"status": "ready"}'])
def test_the_answer_of_a_pod_is_not_a_status_of_the_api_server(body: bytes) -> None:
    assert status_of(body) is None


@pytest.mark.parametrize("api", ["eventing.knative.dev/v1", "flows.knative.dev/v1", "sources.knative.dev/v1"])
def test_a_cluster_without_an_api_of_eventing_is_named_with_it(api: str) -> None:
    error = error_for(404, b"404 page not found\n", path=f"/apis/{api}/namespaces/shop/triggers/x")
    assert isinstance(error, EventingMissing)
    assert str(error) == (
        f"the cluster at https://cluster:6443 has no Knative Eventing: the API {api} is missing; install Eventing, "
        "or remove `events` from model.yaml and `subscriptions` from func.yaml"
    )
