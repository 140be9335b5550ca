"""Hypothesis strategies for any model of the API, read off its fields."""

from __future__ import annotations

from typing import Any, get_args, get_origin

from annotated_types import Ge, Le, MaxLen, MinLen
from hypothesis import strategies as st

from foreman.api.fields import ModelField, declared
from foreman.api.meta import INT32_MAX, Model, Word

WORDS = st.text(max_size=6)
# No null: a merge patch cannot set one.
JSON = st.recursive(
    st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | WORDS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=2),
    max_leaves=3,
)
UNKNOWN = st.dictionaries(st.sampled_from(["xFuture", "x_other"]), JSON, max_size=1)


@st.composite
def models(draw: st.DrawFn, kind: type[Model], *, unknown: bool = True) -> Any:
    """A valid instance with a few optional fields set, and with fields of no known name when `unknown`."""
    optional = [field for field in declared(kind) if not field.required]
    chosen = draw(st.lists(st.sampled_from(optional), unique_by=id, max_size=3)) if optional else []
    fields = [*(field for field in declared(kind) if field.required), *chosen]
    given = {field.name: draw(values(field, unknown)) for field in fields}
    return kind.model_validate({**given, **(draw(UNKNOWN) if unknown else {})})


def values(field: ModelField, unknown: bool) -> st.SearchStrategy[Any]:
    if field.format:
        return st.integers(0, 4 * 10**9) if field.type is int else st.integers(0, 4 * 10**15).map(lambda us: us / 1e6)
    return of_type(field.type, field.metadata, unknown)


def of_type(kind: Any, metadata: tuple[Any, ...], unknown: bool) -> st.SearchStrategy[Any]:
    origin, args = get_origin(kind), get_args(kind)
    if hasattr(kind, "__metadata__"):
        return of_type(args[0], kind.__metadata__, unknown)
    if origin is tuple:
        least = bound(metadata, MinLen, 0)
        return st.lists(of_type(args[0], (), unknown), min_size=least, max_size=max(2, least)).map(tuple)
    if origin is dict:
        return st.dictionaries(WORDS, of_type(args[1], (), unknown), max_size=2)
    if args:
        return st.just(args[0])
    if kind is Any:
        return JSON
    if isinstance(kind, type) and issubclass(kind, Model):
        return models(kind, unknown=unknown)
    if isinstance(kind, type) and issubclass(kind, Word):
        return st.sampled_from(list(kind))
    return scalar(kind, [more for each in metadata for more in getattr(each, "metadata", [each])])


def scalar(kind: Any, metadata: list[Any]) -> st.SearchStrategy[Any]:
    if kind is int:
        return st.integers(bound(metadata, Ge, -INT32_MAX - 1), bound(metadata, Le, INT32_MAX))
    if kind is float:
        return st.floats(0, 1e6)
    if kind is bool:
        return st.booleans()
    pattern = next((each.pattern for each in metadata if getattr(each, "pattern", None)), None)
    if pattern:
        return st.from_regex(pattern, fullmatch=True).filter(lambda text: "\n" not in text)
    return st.text(min_size=bound(metadata, MinLen, 0), max_size=min(6, bound(metadata, MaxLen, 6)))


def bound(metadata: Any, kind: type, otherwise: int) -> int:
    found = [each for each in metadata if isinstance(each, kind)]
    if not found:
        return otherwise
    limits = [getattr(each, {Ge: "ge", Le: "le", MinLen: "min_length", MaxLen: "max_length"}[kind]) for each in found]
    return max(limits) if kind in (Ge, MinLen) else min(limits)
