"""Label and field selectors: parsed with Kubernetes' grammar and complaints, matched against documents."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from sim.http.meta import label_value_faults, qualified_name_faults
from sim.http.served import dig
from sim.http.status import Refusal, bad_request


class Requirement(NamedTuple):
    """One condition. `operator`: '=', '!=', 'in', 'notin', 'exists', '!', 'gt', 'lt'."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def holds(self, value: str | None) -> bool:
        """Whether a label (None: absent) or a field ('' when unset) meets it."""
        return _OPERATORS[self.operator](value, self.values)


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and re.fullmatch(r"[+-]?\d+", text) else None


def _compared(value: str | None, limit: str, above: bool) -> bool:
    number = _number(value)
    return number is not None and (number > int(limit) if above else number < int(limit))


_OPERATORS: Mapping[str, Callable[[str | None, tuple[str, ...]], bool]] = {
    "=": lambda value, values: value == values[0],
    "!=": lambda value, values: value != values[0],
    "in": lambda value, values: value in values,
    "notin": lambda value, values: value not in values,
    "exists": lambda value, values: value is not None,
    "!": lambda value, values: value is None,
    "gt": lambda value, values: _compared(value, values[0], above=True),
    "lt": lambda value, values: _compared(value, values[0], above=False),
}


class Selection(NamedTuple):
    """What a list, a watch or a deletecollection selects within its namespace."""

    labels: tuple[Requirement, ...] = ()
    fields: tuple[Requirement, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.labels or self.fields)

    def matches(self, doc: Mapping[str, Any]) -> bool:
        labels = doc["metadata"].get("labels", {})
        return all(each.holds(labels.get(each.key)) for each in self.labels) and all(
            each.holds(field_of(doc, each.key)) for each in self.fields
        )

    def plain(self) -> tuple[dict[str, str], dict[str, str]] | None:
        """(labels, fields) that must equal, None when there is more to it than that."""
        if any(each.operator != "=" for each in (*self.labels, *self.fields)):
            return None
        plain = tuple({each.key: each.values[0] for each in part} for part in self)
        if len(plain[0]) != len(self.labels) or len(plain[1]) != len(self.fields):
            return None
        return plain[0], plain[1]


def field_of(doc: Mapping[str, Any], path: str) -> str:
    value = dig(doc, *path.split("."))
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


class Selectable(Protocol):
    @property
    def selectable(self) -> frozenset[str]: ...


def selection(served: Selectable, query: Mapping[str, str]) -> Selection:
    """What the query's labelSelector and fieldSelector select. Raises Refusal."""
    labels = tuple(_Labels(query.get("labelSelector", "")).requirements())
    fields = tuple(_fields(query.get("fieldSelector", "")))
    for each in fields:
        if each.key not in served.selectable:
            raise bad_request(f"field label not supported: {each.key}")
    return Selection(labels, fields)


def _fields(text: str) -> Iterator[Requirement]:
    for term in re.split(r"(?<!\\),", text):
        if not term:
            continue
        found = re.match(r"((?:[^=!\\]|\\.|!(?!=))*)(!=|==|=)(.*)", term, re.DOTALL)
        if found is None:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{term}'")
        key, operator, value = found.groups()
        if key or value:
            yield Requirement(key, "!=" if operator == "!=" else "=", (_unescaped(value),))


def _unescaped(value: str) -> str:
    bare = re.sub(r"\\[\\,=]", "", value)
    if "\\" in bare:
        raise bad_request("invalid field selector: invalid escape sequence")
    if wrong := re.search(r"[,=]", bare):
        raise bad_request(f"invalid field selector: unescaped character in value: {ord(wrong[0])}")
    return re.sub(r"\\([\\,=])", r"\1", value)


class _Labels:
    """A recursive descent through a label selector, complaining as the original does."""

    _TOKEN = re.compile(r"\s*(==|!=|=|!|\(|\)|,|>|<|[^\s=!(),><]+)")

    def __init__(self, text: str) -> None:
        self.tokens = self._TOKEN.findall(text)
        self.place = 0

    def peek(self) -> str:
        return self.tokens[self.place] if self.place < len(self.tokens) else ""

    def take(self) -> str:
        token = self.peek()
        self.place += 1
        return token

    def requirements(self) -> Iterator[Requirement]:
        if self.tokens and not self._begins(self.peek()):
            raise bad_request(f"found '{self.peek()}', expected: !, identifier, or 'end of string'")
        while self.peek():
            yield self._requirement()
            if not self.peek():
                return
            if (token := self.take()) != ",":
                raise bad_request(f"found '{token}', expected: ',' or 'end of string'")
            if not self._begins(self.peek()):
                raise bad_request(f"found '{self.peek()}', expected: identifier after ','")

    def _begins(self, token: str) -> bool:
        return token == "!" or _is_word(token)

    def _requirement(self) -> Requirement:
        absent = self.peek() == "!"
        if absent:
            self.take()
        key = self.take()
        if not _is_word(key):
            raise _unparsed(f"found '{key}', expected: identifier")
        for why in qualified_name_faults(key):
            raise _unparsed(f'<nil>: Invalid value: "{key}": {why}')
        if self.peek() in ("", ",") or absent:
            return Requirement(key, "!" if absent else "exists")
        operator = self._operator()
        if operator in ("in", "notin"):
            made = Requirement(key, operator, self._values())
        else:
            made = Requirement(key, operator, (self._exact(),))
        self._check(made)
        return made

    def _operator(self) -> str:
        token = self.take()
        known = {"=": "=", "==": "=", "!=": "!=", "in": "in", "notin": "notin", ">": "gt", "<": "lt"}
        if token not in known:
            raise _unparsed(f"found '{token}', expected: in, notin, =, ==, !=, gt, lt")
        return known[token]

    def _exact(self) -> str:
        if self.peek() in ("", ","):
            return ""
        if _is_word(self.peek()):
            return self.take()
        raise _unparsed(f"found '{self.peek()}', expected: identifier")

    def _values(self) -> tuple[str, ...]:
        if (token := self.take()) != "(":
            raise _unparsed(f"found '{token}' expected: '('")
        values = []
        expect_value = True
        while (token := self.take()) != ")":
            if token == ",":
                if expect_value:
                    values.append("")
                expect_value = True
            elif _is_word(token) and expect_value:
                values.append(token)
                expect_value = False
            else:
                raise _unparsed(f"found '{token}', expected: ',' or ')'")
        return (*values, "") if expect_value else tuple(values)

    def _check(self, made: Requirement) -> None:
        for number, value in enumerate(made.values):
            if made.operator in ("gt", "lt") and _number(value) is None:
                why = "for 'Gt', 'Lt' operators, the value must be an integer"
                raise _unparsed(f'values[{number}]: Invalid value: "{value}": {why}')
            for why in label_value_faults(value):
                raise _unparsed(f'values[{number}][{made.key}]: Invalid value: "{value}": {why}')


def _is_word(token: str) -> bool:
    return bool(token) and token not in ("=", "==", "!=", "!", "(", ")", ",", ">", "<")


def _unparsed(why: str) -> Refusal:
    return bad_request(f"unable to parse requirement: {why}")
