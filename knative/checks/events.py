"""Rules that events are delivered, that failed ones are kept, and that no event causes itself again."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from knative.checks.finding import Finding, advice, error, warning
from knative.checks.subject import Served, Subject
from knative.manifests.trigger import subscribed
from knative.resources.delivery import Delivery, Sink, delay_seconds
from knative.resources.events import Events, Trigger
from runtime.settings import SOURCE

BROKER_MISSING: Final = error("broker-missing", "A Trigger or a sink without its Broker never becomes Ready.")
DEAD_LETTER_LOOP: Final = error(
    "dead-letter-loop", "An event that failed would come back to the function that failed on it."
)
DEAD_LETTERS_DROPPED: Final = advice(
    "dead-letters-dropped", "An event that fails is dropped, unless its Broker has a dead letter sink."
)
DELIVERY_TIMEOUT_SHORT: Final = warning(
    "delivery-timeout-short", "The Broker would deliver an event again while the function still works on it."
)
DELIVERY_WITHOUT_RETRY: Final = warning(
    "delivery-without-retry",
    "An event that comes while a function scales from zero may fail once, and is never retried.",
)
EVENT_LOOP: Final = error("event-loop", "The answer to an event would cause the next event, without end.")
EVENT_TARGET_MISSING: Final = error("event-target-missing", "Pods would not load the function.")
EVENTING_MISSING: Final = error("eventing-missing", "The objects for events need the APIs of Knative Eventing.")
SEQUENCE_STEP_MISSING: Final = warning(
    "sequence-step-missing", "A Sequence is not Ready until each of its functions exists."
)

RULES: Final = (
    BROKER_MISSING,
    DEAD_LETTER_LOOP,
    DEAD_LETTERS_DROPPED,
    DELIVERY_TIMEOUT_SHORT,
    DELIVERY_WITHOUT_RETRY,
    EVENT_LOOP,
    EVENT_TARGET_MISSING,
    EVENTING_MISSING,
    SEQUENCE_STEP_MISSING,
)

_FAILURE_ATTRIBUTE: Final = "knativeerror"  # the start of the attributes that Knative adds to a dead letter


class _Function(NamedTuple):
    """A function that gets events, and the settings of its pods."""

    model: str
    events: Events
    triggers: tuple[tuple[Trigger, str | None], ...]  # with their places; the subscriptions of func.yaml are among them
    served: Served | None  # None: its settings are not valid, which another rule reports


def check(subject: Subject) -> Iterator[Finding]:
    """Check the events of each function."""
    yield from _eventing(subject)
    for function in _functions(subject):
        yield from _target(subject, function)
        yield from _brokers(subject, function)
        yield from _steps(subject, function)
        yield from _deliveries(subject, function)
        yield from _loops(function)


def _functions(subject: Subject) -> Iterator[_Function]:
    served = {each.version.spec.model_name: each for each in subject.revisions()}
    for model in subject.resources.services:
        events = subject.resources.events_of(model)
        found = [
            *(
                (each, _place(subject, model, "triggers", index))
                for index, each in enumerate(events.triggers if events else ())
            ),
            *(
                (subscribed(each), subject.place_in_function("deploy", "subscriptions", index))
                for index, each in enumerate(subject.options.subscriptions_of(model))
            ),
        ]
        if events or found:
            yield _Function(model, events or Events(), tuple(found), served.get(model))


def _place(subject: Subject, model: str, *path: str | int) -> str | None:
    config = subject.resources.config_of(model)
    return subject.place(config, "spec", "events", *path) if config else None


def _eventing(subject: Subject) -> Iterator[Finding]:
    if (api := subject.facts.missing_api) is not None:
        what = f"the cluster has no {api}"
        fix = "install Knative Eventing with a Broker, or remove the events from model.yaml and func.yaml"
        where = next((where for each in _functions(subject) for _, where in each.triggers), None)
        yield EVENTING_MISSING.finding(what, fix=fix, where=where)


def _target(subject: Subject, function: _Function) -> Iterator[Finding]:
    target = function.events.target
    if target is None or (subject.handler is not None and subject.defined is None):
        return
    where = _place(subject, function.model, "target")
    if subject.handler is None:
        what = f"{target} should answer the events of {function.model}, but there is no {SOURCE}"
        yield EVENT_TARGET_MISSING.finding(
            what, fix=f"write {SOURCE}, or remove target: the model answers", where=where
        )
    elif target not in (subject.defined or ()):
        what = f"{subject.handler} defines no {target}"
        fix = f"define it, such as: @functions_framework.cloud_event def {target}(event)"
        yield EVENT_TARGET_MISSING.finding(what, fix=fix, where=where)


def _brokers(subject: Subject, function: _Function) -> Iterator[Finding]:
    existing = subject.facts.brokers
    if existing is None:
        return
    created = {each.events.broker for each in _functions(subject) if each.events.create_broker}
    for name, where in _used_brokers(subject, function):
        if name not in created and name not in existing:
            what = f"the namespace {subject.options.namespace} has no Broker {name}"
            fix = f"set createBroker: true, or run kn broker create {name} --namespace {subject.options.namespace}"
            yield BROKER_MISSING.finding(what, fix=fix, where=where)


def _used_brokers(subject: Subject, function: _Function) -> Iterator[tuple[str, str | None]]:
    """Yield the name of each Broker that the events need, and the place that names it."""
    for trigger, where in function.triggers:
        yield trigger.broker or function.events.broker, where
    for sink, path in _sinks(function.events):
        if sink.broker is not None:
            yield sink.broker, _place(subject, function.model, *path)


def _sinks(events: Events) -> Iterator[tuple[Sink, tuple[str | int, ...]]]:
    if events.predictions:
        yield events.predictions.sink, ("predictions", "sink")
    if events.sequence and events.sequence.reply:
        yield events.sequence.reply, ("sequence", "reply")
    for delivery, path in _declared_deliveries(events):
        if delivery.dead_letter_sink:
            yield delivery.dead_letter_sink, (*path, "deadLetterSink")


def _declared_deliveries(events: Events) -> Iterator[tuple[Delivery, tuple[str | int, ...]]]:
    if events.delivery:
        yield events.delivery, ("delivery",)
    for index, each in enumerate(events.triggers):
        if each.delivery:
            yield each.delivery, ("triggers", index, "delivery")


def _steps(subject: Subject, function: _Function) -> Iterator[Finding]:
    existing, sequence = subject.facts.services, function.events.sequence
    if existing is None or sequence is None:
        return
    for index, name in enumerate(sequence.steps):
        if name not in existing and name not in subject.resources.services:
            what = f"the step {name} is no function of the namespace {subject.options.namespace}"
            where = _place(subject, function.model, "sequence", "steps", index)
            yield SEQUENCE_STEP_MISSING.finding(what, fix=f"deploy {name}, or correct its name", where=where)


def _deliveries(subject: Subject, function: _Function) -> Iterator[Finding]:
    events, served = function.events, function.served
    for delivery, path in _declared_deliveries(events):
        if delivery.retry == 0 and subject.options.min_scale == 0:
            what = f"retry is 0, and {function.model} scales to zero"
            where = _place(subject, function.model, *path, "retry")
            yield DELIVERY_WITHOUT_RETRY.finding(what, fix="set retry to at least 1, or scale.min to 1", where=where)
        if served and delivery.timeout and delay_seconds(delivery.timeout) <= served.settings.timeout:
            what = f"a delivery ends after {delivery.timeout}, but a request to {function.model} may take longer: "
            what += f"its timeout is {served.settings.timeout:g}s"
            where = _place(subject, function.model, *path, "timeout")
            fix = f"set a timeout of more than {served.settings.timeout:g}s and of a cold start, or none"
            yield DELIVERY_TIMEOUT_SHORT.finding(what, fix=fix, where=where)
    for trigger, where in function.triggers:
        used = events.delivery_of(trigger)
        if used is None or used.dead_letter_sink is None:
            fix = "set delivery.deadLetterSink in the events of model.yaml, such as {function: NAME} or {broker: NAME}"
            what = f"a trigger of {function.model} has no dead letter sink"
            yield DEAD_LETTERS_DROPPED.finding(what, fix=fix, where=where)


def _loops(function: _Function) -> Iterator[Finding]:
    for trigger, where in function.triggers:
        yield from _dead_letters(function, trigger, where)
        for answer, attributes in _answers(function, trigger):
            if trigger.passes(attributes):
                what = f"{answer} of {function.model} (type {attributes['type']}) pass the filters of its own trigger"
                fix = "filter by the type of the events that it should get, or set another type, or replyType: none"
                yield EVENT_LOOP.finding(what, fix=fix, where=where)


def _dead_letters(function: _Function, trigger: Trigger, where: str | None) -> Iterator[Finding]:
    delivery = function.events.delivery_of(trigger)
    sink = delivery.dead_letter_sink if delivery else None
    if sink is None:
        return
    broker = trigger.broker or function.events.broker
    if sink.function == function.model:
        what = f"the dead letter sink of a trigger of {function.model} is {function.model} itself"
    elif sink.broker == broker and not _excludes_dead_letters(trigger):
        what = f"the dead letter sink of a trigger of {function.model} is its own Broker {broker}"
    else:
        return
    yield DEAD_LETTER_LOOP.finding(what, fix="use another function or another Broker", where=where)


def _excludes_dead_letters(trigger: Trigger) -> bool:
    """Whether a filter mentions the attributes that only a dead letter has."""
    return _FAILURE_ATTRIBUTE in str(trigger)


def _answers(function: _Function, trigger: Trigger) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the events of the function that its trigger's Broker gets, with the attributes that are known."""
    events, served = function.events, function.served
    broker = trigger.broker or events.broker
    if served is None:
        return
    if _gets_replies(function, broker) and (reply_type := served.settings.event_reply_type) is not None:
        yield "replies", {"type": reply_type, "source": function.model}
    if events.predictions and events.predictions.sink.broker == broker:
        yield "logged predictions", {"type": served.settings.prediction_log_type}


def _gets_replies(function: _Function, broker: str) -> bool:
    """Whether the function's replies go to this Broker: of a Trigger its own, of a Sequence that of its last step."""
    sequence = function.events.sequence
    if sequence is None:
        return True
    return sequence.steps[-1] == function.model and sequence.reply is not None and sequence.reply.broker == broker
