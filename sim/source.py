"""Scenario files as text: YAML to plain data, with the place where each value was written.

Stricter than PyYAML, for a slip must not pass in silence: keys are text and come once, scalars are those of YAML 1.2 (no
and 12:30 are text), there are no tags, no infinities, and aliases expand to a bounded number of values.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.error import MarkedYAMLError
from yaml.reader import ReaderError

Path = tuple[str | int, ...]
Problem = tuple[Path, str]
"""(where in the data, what is wrong in one sentence)."""
Place = Callable[[int], str]
"""Names the place of a line, counted from 0: 11 -> 'x.yaml:12'."""

VALUES_MAX = 500_000
_LONGEST_LINE = 1_000


class BadScenario(Exception):
    """A scenario that cannot be run; `problems` are lines that each name a place and what was expected there."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = [_one_line(each) for each in problems]
        super().__init__("\n".join(self.problems))


@dataclass
class Source:
    """What a file says. `marks`: where the value at a path was written: 'x.yaml:12', or the --set that gave it."""

    data: Any
    marks: dict[Path, str] = field(default_factory=dict)

    def bad(self, problems: Iterable[Problem]) -> BadScenario:
        """The exception for `problems`, in the order in which the file says things."""
        order = {path: number for number, path in enumerate(self.marks)}
        placed = sorted(
            ((self._nearest(path), path, message) for path, message in problems), key=lambda each: order[each[0]]
        )
        return BadScenario(f"{self.marks[near]}: {told(path)}{message}" for near, path, message in placed)

    def _nearest(self, path: Path) -> Path:
        """The longest beginning of `path` whose place is known."""
        while path not in self.marks and path:
            path = path[:-1]
        return path


def told(path: Path) -> str:
    """'fleet.gpu.count: ', as --set writes it; nothing for the whole."""
    return ".".join(map(str, path)) + ": " if path else ""


def in_file(filename: str) -> Place:
    return lambda line: f"{filename}:{line + 1}"


def read(text: str, place: Place) -> Source:
    """The data in `text`, None when it is empty; `place` names its lines. Raises BadScenario."""
    try:
        root = yaml.compose(text, Loader=_Scanner)
        builder = _Builder(place)
        data = builder.root(root) if root else None
    except yaml.YAMLError as error:
        raise BadScenario([_not_yaml(error, text, place)]) from None
    except RecursionError:
        raise BadScenario([f"{place(0)}: nested too deeply"]) from None
    if builder.problems:
        raise BadScenario(builder.problems)
    return Source(data, builder.marks or {(): place(0)})


class _Scanner(yaml.SafeLoader):
    """Only composes. Its own table of scalars is that of YAML 1.2, and `1_000` besides."""

    yaml_implicit_resolvers = {}


_INTEGER = re.compile(r"[-+]?[0-9][0-9_]*|0x[0-9a-fA-F]+")
_NUMBER = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_TAG = "tag:yaml.org,2002:"
_MERGE = _TAG + "merge"
for _name, _pattern, _first in (
    ("bool", re.compile("true|True|TRUE|false|False|FALSE"), "tTfF"),
    ("int", _INTEGER, "-+0123456789"),
    ("float", _NUMBER, "-+.0123456789"),
    ("null", re.compile("~|null|Null|NULL|"), ["~", "n", "N", ""]),
    ("merge", re.compile("<<"), "<"),
):
    _Scanner.add_implicit_resolver(_TAG + _name, re.compile(f"^(?:{_pattern.pattern})$"), list(_first))


def _integer(text: str) -> int:
    return int(text, 16) if text.startswith("0x") else int(text.replace("_", ""))


_SCALARS: dict[str, Callable[[str], Any]] = {
    _TAG + "null": lambda text: None,
    _TAG + "bool": lambda text: text.lower() == "true",
    _TAG + "int": _integer,
    _TAG + "float": lambda text: float(text.lower().replace(".inf", "inf").replace(".nan", "nan")),
    _TAG + "str": str,
}


class _Builder:
    """Nodes to data. Goes on after a problem, so that one reading finds them all."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.marks: dict[Path, str] = {}
        self.problems: list[str] = []
        self._left = VALUES_MAX
        self._open: set[int] = set()

    def root(self, node: yaml.Node) -> Any:
        self._mark((), node)
        return self._value(node, ())

    def _value(self, node: yaml.Node, path: Path) -> Any:
        self._spend(node)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if id(node) in self._open:
            self._refuse(node, path, "an alias stands inside what it stands for")
            return None
        self._open.add(id(node))
        made = self._mapping(node, path) if isinstance(node, yaml.MappingNode) else self._list(node, path)
        self._open.discard(id(node))
        return made

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> Any:
        if node.tag not in _SCALARS:
            self._refuse(node, path, f"the tag {_short(node.tag)} is not supported")
            return None
        try:
            value = _SCALARS[node.tag](node.value)
        except ValueError:
            self._refuse(node, path, f"{node.value[:20]!r} cannot be read as {_short(node.tag)}")
            return None
        if isinstance(value, float) and not math.isfinite(value):
            self._refuse(node, path, f"expected a finite number, not {node.value[:20]}")
        return value

    def _list(self, node: yaml.Node, path: Path) -> list[Any]:
        self._untagged(node, "seq", path)
        made = []
        for number, item in enumerate(node.value):
            self._mark((*path, number), item)
            made.append(self._value(item, (*path, number)))
        return made

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        self._untagged(node, "map", path)
        made: dict[str, Any] = {}
        for key, item in self._own(node, path):
            inside = (*path, key.value)
            if key.value in made:
                self._refuse(key, inside, f"key {key.value!r} is given twice, first at {self.marks[inside]}")
                continue
            self._mark(inside, key)
            made[key.value] = self._value(item, inside)
        for key, item in self._merged(node, path):
            if key.value not in made:
                self._mark((*path, key.value), key)
                made[key.value] = self._value(item, (*path, key.value))
        return made

    def _own(self, node: yaml.MappingNode, path: Path) -> Iterator[tuple[yaml.ScalarNode, yaml.Node]]:
        for key, item in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._refuse(key, path, "expected text as a key, not a list or a mapping")
            elif key.tag != _MERGE:
                yield key, item

    def _merged(self, node: yaml.MappingNode, path: Path) -> Iterator[tuple[yaml.ScalarNode, yaml.Node]]:
        """The pairs that `<<: *base` takes over, the nearest base first."""
        named = [item for key, item in node.value if key.tag == _MERGE]
        for base in [
            each for item in named for each in (item.value if isinstance(item, yaml.SequenceNode) else [item])
        ]:
            self._spend(base)
            if not isinstance(base, yaml.MappingNode) or id(base) in self._open:
                self._refuse(base, path, "expected '<<' to name another mapping, or a list of them")
                continue
            self._open.add(id(base))
            yield from self._own(base, path)
            yield from self._merged(base, path)
            self._open.discard(id(base))

    def _untagged(self, node: yaml.Node, natural: str, path: Path) -> None:
        if node.tag != _TAG + natural:
            self._refuse(node, path, f"the tag {_short(node.tag)} is not supported")

    def _mark(self, path: Path, node: yaml.Node) -> None:
        self.marks.setdefault(path, self.place(node.start_mark.line))

    def _refuse(self, node: yaml.Node, path: Path, message: str) -> None:
        self.problems.append(f"{self.place(node.start_mark.line)}: {told(path)}{message}")

    def _spend(self, node: yaml.Node) -> None:
        self._left -= 1
        if self._left < 0:
            raise BadScenario(
                [f"{self.place(node.start_mark.line)}: more than {VALUES_MAX} values, with its aliases expanded"]
            )


def _not_yaml(error: yaml.YAMLError, text: str, place: Place) -> str:
    if isinstance(error, ReaderError):
        line = text.count("\n", 0, error.position)
        return f"{place(line)}: not YAML: the character {chr(error.character)!r} is not allowed"
    assert isinstance(error, MarkedYAMLError)
    found = error.problem_mark or error.context_mark
    assert found is not None
    column = f"column {found.column + 1}: "
    why = ", ".join(filter(None, (error.context, error.problem)))
    tabs = "; indent with spaces, not tabs" if "'\\t'" in why else ""
    return f"{place(found.line)}: not YAML: {column}{why}{tabs}"


def _short(tag: str) -> str:
    return "!!" + tag.removeprefix(_TAG) if tag.startswith(_TAG) else tag


def _one_line(text: str) -> str:
    line = "".join(char if char.isprintable() else " " for char in " ".join(text.split()))
    return line if len(line) <= _LONGEST_LINE else line[:_LONGEST_LINE] + "..."
