import pytest

from knative.commands.output import table


def test_the_lines_of_a_table_have_no_spaces_at_their_ends(capsys: pytest.CaptureFixture[str]) -> None:
    table(("NAME", "WHY"), [("a", "short"), ("name", "a longer text")])

    assert capsys.readouterr().out.splitlines() == ["NAME  WHY", "a     short", "name  a longer text"]
