"""Each rule has a finding in its case and none in the closest valid case, and is documented."""

from pathlib import Path

import pytest

from knative.checks.finding import Rule
from knative.checks.rules import RULES
from tests import ROOT
from tests.knative.checks.cases import CASES, Case, check

RULES_PAGE = (ROOT / "docs/checks.md").read_text("utf-8")
BY_CODE = {rule.code: rule for rule in RULES}


def test_the_shipped_function_has_no_finding(tmp_path: Path) -> None:
    assert check(Case(), tmp_path) == []


def test_every_rule_has_a_case() -> None:
    assert sorted(CASES) == [rule.code for rule in RULES]


def test_codes_are_unique() -> None:
    assert len(BY_CODE) == len(RULES)


@pytest.mark.parametrize("code", CASES)
def test_each_rule_has_a_finding_in_its_case(code: str, tmp_path: Path) -> None:
    found = [each for each in check(CASES[code][0], tmp_path) if each.code == code]
    assert found
    rule = BY_CODE[code]
    for each in found:
        assert (each.severity, each.why) == (rule.severity, rule.why)
        assert each.what
        assert each.fix


@pytest.mark.parametrize("code", CASES)
def test_the_closest_valid_case_has_no_finding(code: str, tmp_path: Path) -> None:
    assert code not in {each.code for each in check(CASES[code][1], tmp_path)}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_every_rule_is_in_the_documentation_with_its_reason(rule: Rule) -> None:
    assert f"| `{rule.code}` | {rule.severity} | {rule.why} |" in RULES_PAGE
