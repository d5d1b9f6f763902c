"""A resource belongs to the model whose name is the longest prefix of its own before a dash."""

from hypothesis import given
from hypothesis import strategies as st

from knative.resources.links import owner
from tests.resources.strategies import names


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
