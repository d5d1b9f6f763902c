"""The command line of a container: its words and its flags."""

import re
import shlex
from collections.abc import Mapping, Sequence
from string import Template
from typing import Final

from knative.resources.pod import Container

Flags = Mapping[str, Sequence[str]]

_REFERENCE: Final = re.compile(r"\$\$|\$\(([^)]*)\)")
_SHELLS: Final = frozenset({"sh", "bash", "ash", "dash"})
_SCRIPT: Final = re.compile(r"-[a-z]*c")  # the option of sh after which the next word is a script
_SEPARATORS: Final = frozenset("();<>|&")  # between two commands of a script


def words_of(container: Container, program: str) -> tuple[str, ...]:
    """Return the words of the command line that starts the program. Without a command, only the arguments.

    References to variables are resolved with the values in the manifest: as the kubelet does, and, if the words start a
    shell, as the shell does. References to variables of the image or of a Secret are not resolved.
    """
    env = {each.name: each.value for each in container.env if each.value is not None}
    words = [expand(each, env) for each in (*container.command, *container.args)]
    at = next((place for place, word in enumerate(words[:-1]) if _is_script(words, place, word)), None)
    return tuple(words if at is None else _command_of(_shell_words(words[at + 1]), program, env))


def flags_of(words: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the values of each --flag: the text after =, or the words that follow. The last of equal flags counts."""
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
    """Return the first value of a flag, or None."""
    return next(iter(flags.get(name, ())), None)


def expand(text: str, known: Mapping[str, str]) -> str:
    """Replace $(NAME) by its value if it is known, and $$ by $, as the kubelet does."""
    return _REFERENCE.sub(lambda found: "$" if found[0] == "$$" else known.get(found[1], found[0]), text)


def unresolved(text: str, known: Mapping[str, str]) -> list[str]:
    """Return the names of unknown variables that the text refers to."""
    return [each[1] for each in _REFERENCE.finditer(text) if each[0] != "$$" and each[1] not in known]


def _is_script(words: Sequence[str], place: int, word: str) -> bool:
    return place > 0 and words[place - 1].rpartition("/")[2] in _SHELLS and bool(_SCRIPT.fullmatch(word))


def _shell_words(script: str) -> list[str]:
    """Split a script into words, without running it: substitutions and control structures are not interpreted."""
    text = script.replace("\\\n", " ").replace("\n", " ; ")
    parts = shlex.shlex(text, posix=True, punctuation_chars=True)
    parts.whitespace_split = True
    try:
        return list(parts)
    except ValueError:  # an unclosed quote
        return text.split()


def _command_of(words: Sequence[str], program: str, known: Mapping[str, str]) -> list[str]:
    """Return the command of a script that starts the program, with known variables replaced by their values."""
    commands: list[list[str]] = [[]]
    for word in words:
        if set(word) <= _SEPARATORS:
            commands.append([])
        else:
            commands[-1].append(Template(word).safe_substitute(known))
    return next((each for each in commands if any(word.rpartition("/")[2] == program for word in each)), [])
