"""The objects of Knative Eventing for the events of a function, and their order among the other objects."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from knative.manifests import DeploymentOptions, Step, Subscription, desired
from knative.manifests.names import INPUTS
from knative.objects import Manifest, Ref, ref_of
from knative.resources import Resources, read_resources
from runtime.errors import BadSetting
from runtime.settings import settings_from
from tests.knative.documents import config, read, version
from tests.knative.manifests.admission import violations
from tests.knative.manifests.test_golden import OPTIONS as GOLDEN_OPTIONS
from tests.knative.manifests.test_golden import as_data
from tests.knative.manifests.test_steps import OPTIONS, environ, services

HERE = Path(__file__).resolve().parent
SHOP = version("shop-v1", "shop")
CREATED = {"type": "com.example.created"}


def steps_of(events: str, options: DeploymentOptions = OPTIONS) -> tuple[Step, ...]:
    steps = desired(read(SHOP, config(events)), options)
    assert [violation for step in steps for violation in violations(step.manifest)] == []
    return steps


def manifests(steps: tuple[Step, ...], kind: str) -> list[Manifest]:
    return [step.manifest for step in steps if step.manifest["kind"] == kind]


def refs(steps: tuple[Step, ...]) -> list[str]:
    return [str(ref_of(step.manifest)) for step in steps]


def subscribed(*subscriptions: Subscription) -> DeploymentOptions:
    return replace(OPTIONS, function="shop", subscriptions=subscriptions)


def test_the_steps_of_a_function_with_all_objects_equal_the_golden_file() -> None:
    steps = desired(read_resources(HERE / "events.yaml"), GOLDEN_OPTIONS)
    assert as_data(steps) == list(yaml.safe_load_all((HERE / "golden" / "events.yaml").read_text("utf-8")))
    assert [violation for step in steps for violation in violations(step.manifest)] == []


def test_the_common_case_is_one_trigger_of_the_broker_default_to_the_service() -> None:
    steps = steps_of("{triggers: [{type: com.example.created}]}")
    assert refs(steps) == ["serviceaccount/shop", "service/shop", "trigger/shop"]
    assert steps[-1].manifest["spec"] == {
        "broker": "default",
        "filter": {"attributes": CREATED},
        "subscriber": {"ref": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "shop"}},
    }


def test_brokers_and_bindings_come_before_the_functions_and_triggers_after_them() -> None:
    events = (
        "{createBroker: true, triggers: [{}, {name: b}], sequence: {steps: [shop]}, predictions: {sink: {broker: a}}}"
    )
    steps = steps_of(events)
    assert refs(steps) == [
        "broker/default",
        "sinkbinding/shop",
        "serviceaccount/shop",
        "service/shop",
        "sequence/shop",
        "trigger/shop",
        "trigger/shop-b",
    ]
    assert [str(ref_of(each.manifest)) for each in steps if not each.awaited] == ["sinkbinding/shop"]
    assert [each.binding for each in steps if each.binding] == [Ref("SinkBinding", "shop")]


def test_a_broker_that_two_functions_create_is_one_object_of_no_function() -> None:
    documents = [SHOP, version("a-v1", "a"), *(config("{createBroker: true}", each) for each in ("shop", "a"))]
    (broker,) = manifests(desired(read(*documents), OPTIONS), "Broker")
    assert broker["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "scalezero"}


def test_a_sink_may_be_any_object_with_an_address() -> None:
    sink = "{ref: {apiVersion: eventing.knative.dev/v1alpha1, kind: KafkaSink, name: all}}"
    (binding,) = manifests(steps_of(f"{{predictions: {{sink: {sink}}}}}"), "SinkBinding")
    reference = {"apiVersion": "eventing.knative.dev/v1alpha1", "kind": "KafkaSink", "name": "all"}
    assert binding["spec"]["sink"] == {"ref": reference}


def test_the_longest_wait_that_a_function_asks_for_is_rendered() -> None:
    """A cluster refuses it unless the feature `delivery-retryafter` is enabled."""
    (trigger,) = manifests(steps_of("{triggers: [{}], delivery: {retryAfterMax: 2m}}"), "Trigger")
    assert trigger["spec"]["delivery"]["retryAfterMax"] == "PT2M"


def test_events_that_only_configure_the_runtime_need_no_object_of_eventing() -> None:
    steps = steps_of("{target: on_event, replyType: none}")
    assert refs(steps) == ["serviceaccount/shop", "service/shop"]
    settings = settings_from(environ(services(steps)[0].manifest))
    assert (settings.event_target, settings.event_reply_type) == ("on_event", None)


def test_a_declared_setting_is_rendered_even_with_its_default() -> None:
    (service,) = services(steps_of("{window: 10m, batches: false}"))
    variables = environ(service.manifest)
    assert (variables["SCALEZERO_EVENT_WINDOW"], variables["SCALEZERO_EVENT_BATCHES"]) == ("600s", "false")


def digest(events: str, options: DeploymentOptions = OPTIONS) -> str:
    (service,) = services(steps_of(events, options))
    found: str = service.manifest["spec"]["template"]["metadata"]["annotations"][INPUTS]
    return found


def test_triggers_and_subscriptions_are_no_part_of_a_revision() -> None:
    """So they can change without a new ModelVersion."""
    without = digest("{}")
    assert digest("{triggers: [{}], createBroker: true, sequence: {steps: [shop]}}") == without
    assert digest("{}", subscribed(Subscription("default", {}))) == without
    assert digest("{window: 1m}") != without
    assert digest("{predictions: {sink: {broker: default}}}") != without


def test_the_subscriptions_of_func_yaml_are_triggers_with_the_names_of_func_deploy() -> None:
    options = subscribed(Subscription("orders", CREATED), Subscription("default", {}))
    steps = desired(read(SHOP), options)
    assert refs(steps)[2:] == ["trigger/shop-function-trigger-0", "trigger/shop-function-trigger-1"]
    first, second = manifests(steps, "Trigger")
    assert (first["spec"]["broker"], first["spec"]["filter"]) == ("orders", {"attributes": CREATED})
    assert second["spec"] == {"broker": "default", "subscriber": first["spec"]["subscriber"]}


def test_a_trigger_that_is_a_subscription_too_is_one_object() -> None:
    options = subscribed(Subscription("default", {}), Subscription("default", CREATED))
    steps = steps_of("{triggers: [{type: com.example.created}, {name: other, broker: b}]}", options)
    assert refs(steps)[2:] == [
        "trigger/shop-function-trigger-1",
        "trigger/shop-other",
        "trigger/shop-function-trigger-0",
    ]


def test_subscriptions_belong_to_the_function_of_func_yaml() -> None:
    options = replace(subscribed(Subscription("default", {})), function="other")
    assert manifests(desired(read(SHOP), options), "Trigger") == []


def function(*documents: str) -> Resources:
    return replace(read(*documents), companion_models=("reader",))


@pytest.mark.parametrize(
    ("resources", "field", "value"),
    [
        pytest.param(read(SHOP, config("{sequence: {steps: [a, b]}}")), "events.sequence.steps", "a, b", id="no step"),
        pytest.param(
            function(SHOP, version("reader-v1", "reader"), config("{}", "reader")), "events", "reader", id="a companion"
        ),
        pytest.param(
            read(SHOP, config(f"{{triggers: [{{name: {'a' * 60}}}]}}")), "name", f"shop-{'a' * 60}", id="long"
        ),
        pytest.param(read(SHOP, config("{createBroker: true, broker: 7b}")), "events.broker", "7b", id="a Broker"),
        pytest.param(read(SHOP, config("{sequence: {steps: [shop, 7b]}}")), "modelName", "7b", id="a refused name"),
    ],
)
def test_events_that_knative_would_refuse_are_refused_with_their_field(
    resources: Resources, field: str, value: str
) -> None:
    with pytest.raises(BadSetting) as caught:
        desired(resources, OPTIONS)
    assert (caught.value.details["name"], caught.value.details["value"]) == (field, value)
