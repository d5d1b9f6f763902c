"""A resource belongs to the model of its modelName, else to the longest model name that is a prefix of its name."""

from hypothesis import given
from hypothesis import strategies as st

from knative.resources import InferenceConfig, ModelOptimization, Resources
from knative.resources.links import has_no_model, model_of, model_of_name
from tests.knative.resources.strategies import inference_configs, model_optimizations, names

LINKED = st.one_of(inference_configs(names), model_optimizations(names))


@given(LINKED, st.lists(names))
def test_an_explicit_link_overrides_the_name(resource: InferenceConfig | ModelOptimization, models: list[str]) -> None:
    assert model_of(resource, models) == resource.spec.model_name


@given(inference_configs(names))
def test_a_model_has_the_config_that_names_it(config: InferenceConfig) -> None:
    assert Resources(inference_configs=(config,)).config_of(str(config.spec.model_name)) is config


@given(LINKED, st.lists(names, min_size=1))
def test_a_link_to_a_model_that_was_not_read_is_unknown(
    resource: InferenceConfig | ModelOptimization, models: list[str]
) -> None:
    assert has_no_model(resource, models) == (resource.spec.model_name not in models)
    assert not has_no_model(resource, [])


def test_the_longest_prefix_wins() -> None:
    models = ["payment-model", "payment-model-eu", "payment"]
    assert model_of_name("payment-model-config", models) == "payment-model"
    assert model_of_name("payment-model-eu-config", models) == "payment-model-eu"
    assert model_of_name("payment-config", models) == "payment"


def test_a_prefix_ends_at_a_dash() -> None:
    assert model_of_name("payment-modelconfig", ["payment-model"]) is None
    assert model_of_name("payment-model", ["payment-model"]) is None
    assert model_of_name("config", []) is None


@given(names, names, st.lists(names))
def test_the_model_of_a_name_is_the_longest_prefix(model: str, suffix: str, others: list[str]) -> None:
    found = model_of_name(f"{model}-{suffix}", [model, *others])
    assert found is not None
    assert f"{model}-{suffix}".startswith(f"{found}-")
    assert len(found) >= len(model)
