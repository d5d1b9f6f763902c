"""What a function needs beside the runtime."""

import pytest

from scripts.images.faults import CannotBuild
from scripts.images.requirements import lines, refuse_conflicts

BLOCK = """
# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "humanize>=4",
#   "idna",
# ]
# ///
import humanize
"""


def test_the_lines_are_those_of_the_file() -> None:
    assert lines("humanize>=4\n\n# a comment\n", "import humanize\n", function="f") == [
        "humanize>=4",
        "",
        "# a comment",
    ]


def test_without_a_file_they_are_those_of_the_script_block() -> None:
    assert lines(None, BLOCK, function="f") == ["humanize>=4", "idna"]


@pytest.mark.parametrize("source", ["", "import x\n", "# /// script\n# requires-python = '>=3.11'\n# ///\n"])
def test_a_function_may_need_nothing(source: str) -> None:
    assert lines(None, source, function="f") == []


def test_two_lists_of_one_function_are_refused() -> None:
    with pytest.raises(CannotBuild, match=r"^f has requirements\.txt and a script block in main\.py; expected one"):
        lines("idna\n", BLOCK, function="f")


def test_a_block_that_is_not_toml_is_refused_with_its_place() -> None:
    with pytest.raises(CannotBuild, match=r"f/main\.py is not TOML"):
        lines(None, "# /// script\n# dependencies = [\n# ///\n", function="f")


@pytest.mark.parametrize(
    ("one", "other"), [("idna==3.1", "idna==3.2"), ("Idna==3.1", "idna>=3.2"), ("idna<3", "idna==3.1")]
)
def test_functions_that_exclude_each_other_are_named_with_the_way_out(one: str, other: str) -> None:
    with pytest.raises(CannotBuild) as caught:
        refuse_conflicts({"first": [one], "second": ["other", other]})
    for fact in (f"first needs {one}", f"second needs {other}", "--function"):
        assert fact in str(caught.value)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("idna==3.1", "idna>=3"),
        ("idna==3.1", "other==3.2"),
        ("idna==3.*", "idna==3.2"),
        ("-r more.txt", "idna"),
        ("idna @ https://example.com/idna.whl", "idna==3.1  # pinned"),
    ],
)
def test_functions_that_agree_or_that_only_pip_can_compare_are_left_to_pip(one: str, other: str) -> None:
    refuse_conflicts({"first": [one], "second": [other]})


def test_a_line_that_is_no_requirement_is_refused_with_its_function() -> None:
    with pytest.raises(CannotBuild, match="f needs 'not a package!'"):
        refuse_conflicts({"f": ["not a package!"]})
