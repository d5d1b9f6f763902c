"""What a container's command line says: its words, and the flags among them."""

import re
import shlex
from collections.abc import Mapping, Sequence
from string import Template
from typing import Final

from knative.resources.pod import Container

Flags = Mapping[str, Sequence[str]]

_REFERENCE: Final = re.compile(r"\$\$|\$\(([^)]*)\)")
_SHELLS: Final = frozenset({"sh", "bash", "ash", "dash"})
_SCRIPT: Final = re.compile(r"-[a-z]*c")  # of sh: the next word is a script
_ENDS: Final = frozenset("();<>|&")  # what parts one command of a script from the next


def words_of(container: Container, program: str) -> tuple[str, ...]:
    """List the words that the program is started with, after the image's entry point where there is no command.

    References are resolved as the kubelet does, and where the words start a shell, as a shell would: from the values
    in the manifest. What the image or a Secret adds to the environment is not known here and stays as it is written.
    """
    known = {each.name: each.value for each in container.env if each.value is not None}
    words = [expanded(each, known) for each in (*container.command, *container.args)]
    at = next((place for place, word in enumerate(words[:-1]) if _is_script(words, place, word)), None)
    return tuple(words if at is None else _command_of(_shell_words(words[at + 1]), program, known))


def flags_of(words: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Collect the values of each --flag, after = or as the words that follow. A flag that comes again starts anew."""
    found: dict[str, tuple[str, ...]] = {}
    last = None
    for word in words:
        name, equals, value = word.partition("=")
        if name.startswith("--"):
            found[name] = (value,) if equals else ()
            last = None if equals else name
        elif last is not None:
            found[last] = (*found[last], word)
    return found


def value_of(flags: Flags, name: str) -> str | None:
    """Give the value of a flag, or None where it has none."""
    return next(iter(flags.get(name, ())), None)


def expanded(text: str, known: Mapping[str, str]) -> str:
    """Make of $(NAME) its value where it is known, and $ of $$, as the kubelet does."""
    return _REFERENCE.sub(lambda found: "$" if found[0] == "$$" else known.get(found[1], found[0]), text)


def unknown_in(text: str, known: Mapping[str, str]) -> list[str]:
    """List the names that the text refers to and that are not known."""
    return [each[1] for each in _REFERENCE.finditer(text) if each[0] != "$$" and each[1] not in known]


def _is_script(words: Sequence[str], place: int, word: str) -> bool:
    return place > 0 and words[place - 1].rpartition("/")[2] in _SHELLS and bool(_SCRIPT.fullmatch(word))


def _shell_words(script: str) -> list[str]:
    """Split a script into words; one that is no plain list of commands gives what can be had without running it."""
    text = script.replace("\\\n", " ").replace("\n", " ; ")
    parts = shlex.shlex(text, posix=True, punctuation_chars=True)
    parts.whitespace_split = True
    try:
        return list(parts)
    except ValueError:  # a quote that never ends
        return text.split()


def _command_of(words: Sequence[str], program: str, known: Mapping[str, str]) -> list[str]:
    """Take the command that starts the program out of a script, with the values of what it refers to."""
    commands: list[list[str]] = [[]]
    for word in words:
        if set(word) <= _ENDS:
            commands.append([])
        else:
            commands[-1].append(Template(word).safe_substitute(known))
    return next((each for each in commands if any(word.rpartition("/")[2] == program for word in each)), [])
