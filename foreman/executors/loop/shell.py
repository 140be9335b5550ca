"""Does a shell command write to files? By its words, not by substrings: `grep -rn writer src` writes nothing (#1587)."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise

WRITERS = frozenset({"tee", "patch", "mv", "cp", "rm", "install", "truncate", "dd", "touch", "mkdir", "rmdir", "ln"})
IN_PLACE = {"sed": re.compile(r"-[a-zA-Z]*i.*|--in-place.*"), "perl": re.compile(r"-[a-zA-Z]*i.*")}
GIT_WRITERS = frozenset({"apply", "am", "checkout", "restore", "mv", "rm", "stash", "reset", "revert", "merge"})
SEPARATORS = frozenset({"|", "||", "&&", ";", "&", "(", ")", "|&"})
WRAPPERS = frozenset({"sudo", "env", "command", "xargs", "time", "nice", "then", "do", "else", "{"})
_ASSIGNMENT = re.compile(r"\w+=.*")


def writes(command: str) -> bool:
    """Whether the command has the shape of a write. What cannot be read as shell has not."""
    try:
        words = list(_lexer(command))
    except ValueError:
        return False
    return _redirects(words) or any(_writing(part) for part in _parts(words))


def _lexer(command: str) -> shlex.shlex:
    lexer = shlex.shlex(command.replace("\n", " ; "), posix=True, punctuation_chars="();<>|&")
    lexer.whitespace_split = True
    lexer.commenters = ""
    return lexer


def _redirects(words: list[str]) -> bool:
    """Output into a file: not into another descriptor (2>&1), nor into /dev/null."""
    for here, following in pairwise([*words, ""]):
        if here in (">", ">>", ">|", "&>", "&>>") and following not in ("", "/dev/null", "/dev/stderr", "/dev/stdout"):
            return True
    return False


def _parts(words: list[str]) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    for word in words:
        if word in SEPARATORS:
            parts.append([])
        else:
            parts[-1].append(word)
    return parts


def _writing(words: list[str]) -> bool:
    while words and (words[0] in WRAPPERS or _ASSIGNMENT.fullmatch(words[0])):
        words = words[1:]
    if not words:
        return False
    program, arguments = words[0].rpartition("/")[2], words[1:]
    if program in IN_PLACE:
        return any(IN_PLACE[program].fullmatch(each) for each in arguments)
    if program == "git":
        return bool(arguments) and arguments[0] in GIT_WRITERS
    return program in WRITERS
