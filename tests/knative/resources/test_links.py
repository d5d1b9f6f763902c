"""A resource belongs to the model that it names, else to the one whose name is the longest prefix of its own."""

from hypothesis import given
from hypothesis import strategies as st

from knative.resources import InferenceConfig, ModelOptimization, Resources
from knative.resources.links import belongs_to_none, model_of, owner
from tests.knative.resources.strategies import inference_configs, model_optimizations, names

LINKED = st.one_of(inference_configs(names), model_optimizations(names))


@given(LINKED, st.lists(names))
def test_an_explicit_link_overrides_the_name(resource: InferenceConfig | ModelOptimization, models: list[str]) -> None:
    assert model_of(resource, models) == resource.spec.model_name


@given(inference_configs(names))
def test_the_model_finds_the_config_that_names_it(config: InferenceConfig) -> None:
    assert Resources(inference_configs=(config,)).config_of(str(config.spec.model_name)) is config


@given(LINKED, st.lists(names, min_size=1))
def test_a_link_is_unknown_where_other_models_were_read(
    resource: InferenceConfig | ModelOptimization, models: list[str]
) -> None:
    assert belongs_to_none(resource, models) == (resource.spec.model_name not in models)
    assert not belongs_to_none(resource, [])


def test_the_longest_prefix_wins() -> None:
    models = ["payment-model", "payment-model-eu", "payment"]
    assert owner("payment-model-config", models) == "payment-model"
    assert owner("payment-model-eu-config", models) == "payment-model-eu"
    assert owner("payment-config", models) == "payment"


def test_a_prefix_ends_at_a_dash() -> None:
    assert owner("payment-modelconfig", ["payment-model"]) is None
    assert owner("payment-model", ["payment-model"]) is None
    assert owner("config", []) is None


@given(names, names, st.lists(names))
def test_a_model_owns_what_extends_its_name_unless_a_longer_one_does(
    model: str, suffix: str, others: list[str]
) -> None:
    found = owner(f"{model}-{suffix}", [model, *others])
    assert found is not None
    assert f"{model}-{suffix}".startswith(f"{found}-")
    assert len(found) >= len(model)
