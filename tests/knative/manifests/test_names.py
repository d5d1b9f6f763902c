from hypothesis import given
from hypothesis import strategies as st

from knative.manifests import names
from tests.knative.manifests.admission import DNS_1035, LABEL_VALUE
from tests.knative.manifests.strategies import endings, models
from tests.knative.resources.strategies import versions


@given(models, st.lists(endings, min_size=2, max_size=4, unique=True))
def test_the_tags_of_revisions_are_unique_and_valid_names(model: str, parts: list[str]) -> None:
    tags = {names.tag(model, f"{model}-{part}") for part in parts}
    assert len(tags) == len(parts)
    assert [tag for tag in tags if not DNS_1035.fullmatch(tag)] == []


@given(versions)
def test_every_version_is_a_valid_label_value(version: str) -> None:
    assert LABEL_VALUE.fullmatch(names.labels("m", version)["app.kubernetes.io/version"])


def test_a_tag_is_the_name_of_the_revision_without_that_of_the_model() -> None:
    assert names.tag("payment-model", "payment-model-v1") == "v1"
    assert names.tag("payment-model", "payment-model-1") == "r-1"
