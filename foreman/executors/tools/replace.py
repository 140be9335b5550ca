"""Replacing text in a file as a model asks for it: exactly, or where it misremembered only the white space, there."""

from __future__ import annotations

from difflib import SequenceMatcher

from foreman.executors.tools.workspace import Refused

CONTEXT = 2
CLOSE_ENOUGH = 0.6
LINES_SEARCHED = 4000


def replace(text: str, old: str, new: str, count: int) -> tuple[str, str]:
    """The new text and how it was found ('' as given). `old` must occur exactly `count` times. Raises Refused."""
    if not old:
        raise Refused("old_string is empty; to make or rewrite a whole file use write_file")
    if old == new:
        raise Refused("old_string and new_string are the same: nothing would change. If that is what you want, go on")
    found = text.count(old)
    if found == count:
        return text.replace(old, new), ""
    if found:
        raise Refused(
            f"old_string occurs {found} times, expected {count}: quote more lines around it, or set expected_replacements"
        )
    spot = _by_words(text, old) if count == 1 else None
    if spot is None:
        raise Refused(f"old_string does not occur. {nearest(text, old)}")
    lines, start, length = spot
    fitted = _fitted(lines[start : start + length], old, new)
    changed = "".join([*lines[:start], *fitted, *lines[start + length :]])
    return changed, f"matched lines {start + 1}-{start + length} but for white space; indentation was fitted"


def _by_words(text: str, old: str) -> tuple[list[str], int, int] | None:
    """Lines of the text, and where the only run of them is that has the words of `old`; None when there is none, or several."""
    lines = text.splitlines(keepends=True)
    wanted = [line.split() for line in old.strip("\r\n").splitlines()]
    if not any(wanted):
        return None
    words = [line.split() for line in lines]
    length = len(wanted)
    spots = [i for i in range(len(lines) - length + 1) if words[i : i + length] == wanted]
    return (lines, spots[0], length) if len(spots) == 1 else None


def _fitted(there: list[str], old: str, new: str) -> list[str]:
    """`new` with the indentation and line ends that the lines it replaces have."""
    was, now = _indent(old.strip("\r\n").splitlines()), _indent(there)
    end = "\r\n" if there[-1].endswith("\r\n") else "\n"
    fitted = [
        (now + line.removeprefix(was) if line.startswith(was) else line) + end
        for line in new.strip("\r\n").splitlines()
    ]
    if fitted and not there[-1].endswith("\n"):
        fitted[-1] = fitted[-1].removesuffix(end)
    return fitted


def _indent(lines: list[str]) -> str:
    first = next((line for line in lines if line.strip()), "")
    return first[: len(first) - len(first.lstrip())]


def nearest(text: str, old: str) -> str:
    """The lines of the text that look most like `old`, as they stand; or what to do instead."""
    lines = text.splitlines()[:LINES_SEARCHED]
    anchor = max((line.strip() for line in old.splitlines()), key=len, default="")
    matcher = SequenceMatcher(autojunk=False)
    matcher.set_seq2(anchor)
    best, score = -1, CLOSE_ENOUGH
    for i, line in enumerate(lines):
        matcher.set_seq1(line.strip()[:500])
        if matcher.real_quick_ratio() > score and matcher.quick_ratio() > score and (ratio := matcher.ratio()) > score:
            best, score = i, ratio
    if best < 0:
        return "Nothing in the file is like it: read the file again, and copy old_string from it letter for letter"
    span = range(max(0, best - CONTEXT), min(len(lines), best + old.count("\n") + 1 + CONTEXT))
    shown = "\n".join(lines[i][:500] for i in span)
    return f"The file's own text nearest to it, lines {span[0] + 1}-{span[-1] + 1}; copy from it letter for letter:\n{shown}"
