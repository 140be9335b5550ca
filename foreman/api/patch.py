"""RFC 7386 merge patches over frozen models, under python names.

None resets a field to its default, a mapping merges into a model or a map, anything else replaces the field whole.
A model given whole counts as the mapping of all its fields: that is all JSON can say, so maps inside it merge too.
The simulator applies every write through `merge`, so that takes the short way wherever a value is plainly valid: an exact enum
member, string, time or flag, a number within the field's bounds, a tuple of models or a map of strings needs no validator.
What there is to look at in patches of the same fields with values of the same types is worked out once (`_Shape`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from functools import cache
from typing import Any, TypeVar, get_args, get_origin

from annotated_types import Ge, Le
from pydantic import Strict, ValidationError
from pydantic.fields import FieldInfo

from .errors import Cause, InvalidObject, causes_of
from .fields import ModelField, declared, fields_of
from .meta import Condition, Model, Resource, Word
from .wire import plain, to_wire

M = TypeVar("M", bound=Model)
_Anything = type("_Anything", (), {})
_Missing = type("_Missing", (), {})
_STRINGS = frozenset({str})
_SCALARS = frozenset({bool, int, float, str})
_NO_MAPPING = _SCALARS | {list, tuple, type(None)}  # asking the ABC is slow
_set = object.__setattr__


class _Slot:
    """A field as `merge` sees it: a value of exactly the type `trusted` (and in `bounds`) is valid as it stands."""

    __slots__ = ("bounds", "entries", "field", "items", "name", "trusted", "validate")

    def __init__(self, field: ModelField) -> None:
        self.field = field
        self.name = field.name
        self.trusted: type = _trusted(field)
        self.bounds: range | None = _bounds(_constraints(field)) if self.trusted is int else None
        self.entries: type = _entries(field)
        self.items: type = field.item if _self_evident(field.item) and not field.metadata else _Anything
        self.validate: Callable[[Any], Any] | None = None

    def accept(self, old: Any, value: Any) -> Any:
        """The valid value that `value` makes of `old`; `InvalidObject` with a path from this field on."""
        field = self.field
        if value is None:
            if field.required:
                raise InvalidObject.at(field.wire, "Required value")
            return old if _equal(old, field.default) else field.default
        kind = type(value)
        if kind is tuple and _all_of(self.items, value):
            return old if _equal(old, value) else value
        if kind is self.field.model:
            return value if old is None else self._inside(old, {**value.__dict__, **(value.__pydantic_extra__ or {})})
        if _is_map(value):
            return self.merged(old, value)
        value = self._validated(value)
        return old if _equal(old, value) else value

    def merged(self, old: Any, changes: Mapping[str, Any]) -> Any:
        """`old` with a map merged in."""
        if self.field.model:
            return self._validated(_fresh(changes)) if old is None else self._inside(old, changes)
        merged = merge_map(old, changes)
        return merged if merged is old or self._evident(merged) else self._validated(merged)

    def _evident(self, values: dict[Any, Any]) -> bool:
        if self.entries is _Anything or not _STRINGS.issuperset(map(type, values)):
            return False
        return self.entries is object or _STRINGS.issuperset(map(type, values.values()))

    def _inside(self, old: Model, changes: Mapping[str, Any]) -> Model:
        try:
            return merge(old, changes)
        except InvalidObject as error:
            raise InvalidObject(error.under(self.field.wire)) from None

    def _validated(self, value: Any) -> Any:
        if self.validate is None:
            self.validate = self.field.validator()
        try:
            return self.validate(value)
        except ValidationError as error:
            inner = InvalidObject(causes_of(error, self.field.holds))
            raise InvalidObject(inner.under(self.field.wire)) from None


class _Shape:
    """What is left to check of a patch whose fields all take values of the types they have: bounds, and what is inside."""

    __slots__ = ("bounded", "converts", "maps", "tuples", "words")

    def __init__(self, slots: dict[str, _Slot], changes: Mapping[str, Any]) -> None:
        """Raises KeyError when there is more to it than that."""
        self.bounded: list[tuple[str, range]] = []
        self.tuples: list[tuple[str, set[type]]] = []
        self.maps: list[tuple[str, _Slot]] = []
        self.words: list[tuple[str, Mapping[str, Any]]] = []
        for name, value in changes.items():
            slot, kind = slots[name], type(value)
            if slot.name != name:
                raise KeyError(name)
            if kind is slot.trusted:
                if slot.bounds is not None:
                    self.bounded.append((name, slot.bounds))
            elif kind is tuple and slot.items is not _Anything:
                self.tuples.append((name, {slot.items}))
            elif kind is dict and (slot.field.model is not None or slot.entries is not _Anything):
                self.maps.append((name, slot))
            elif kind is str and issubclass(slot.trusted, Word):
                self.words.append((name, {each.value: each for each in slot.trusted}))
            else:
                raise KeyError(name)
        self.converts = bool(self.maps or self.words)

    def converted(self, current: Mapping[str, Any], changes: Mapping[str, Any]) -> tuple[Mapping[str, Any], bool]:
        """The changes with words as what they name and maps merged, and whether a map differs.

        Raises InvalidObject, or KeyError for an unknown word.
        """
        made, differs = dict(changes), False
        for name, words in self.words:
            made[name] = words[changes[name]]
        for name, slot in self.maps:
            old = current[name]
            made[name] = new = slot.merged(old, changes[name])
            differs = differs or new is not old
        return made, differs


_MOST_SHAPES = 1000
_shapes: dict[tuple[Any, ...], _Shape | None] = {}


def merge(model: M, changes: Mapping[str, Any]) -> M:
    """`model` with the patch applied, the same instance when nothing differs; `InvalidObject` names every bad field."""
    key = (type(model), *changes, *map(type, changes.values()))
    shape = _shapes[key] if key in _shapes else _new_shape(key, changes)
    if shape is None:
        return _merge(model, changes)
    for name, bounds in shape.bounded:
        if changes[name] not in bounds:
            return _merge(model, changes)
    for name, kinds in shape.tuples:
        if not kinds.issuperset(map(type, changes[name])):
            return _merge(model, changes)
    current = model.__dict__
    if shape.converts:
        try:
            changes, differs = shape.converted(current, changes)
        except (InvalidObject, KeyError):
            return _merge(model, changes)
        if differs:
            return model.evolve(**changes)
    # Of values that are equal it does not matter which is kept.
    return model if changes.items() <= current.items() else model.evolve(**changes)


def _new_shape(key: tuple[Any, ...], changes: Mapping[str, Any]) -> _Shape | None:
    if len(_shapes) >= _MOST_SHAPES:
        _shapes.clear()
    try:
        shape = _Shape(_slots(key[0]), changes)
    except KeyError:
        shape = None
    _shapes[key] = shape
    return shape


def _merge(model: M, changes: Mapping[str, Any]) -> M:
    """Field by field, with every complaint there is."""
    slots, current = _slots(type(model)), model.__dict__
    new: dict[str, Any] = {}
    unknown: dict[str, Any] = {}
    causes: list[Cause] = []
    for name, value in changes.items():
        slot = slots.get(name)
        if slot is None:
            unknown[name] = value
            continue
        old = current[slot.name]
        if value is old:
            continue
        if type(value) is slot.trusted and ((bounds := slot.bounds) is None or value in bounds):
            if value != old:
                new[slot.name] = value
            continue
        try:
            accepted = slot.accept(old, value)
        except InvalidObject as error:
            causes += error.causes
            continue
        if accepted is not old:
            new[slot.name] = accepted
    if causes:
        raise _refusal(model, causes)
    merged = model.evolve(**new) if new else model
    return _with_unknown(merged, unknown) if unknown else merged


def merge_map(old: Any, changes: Mapping[str, Any]) -> Any:
    """RFC 7386 for plain JSON data: `old` (same instance when nothing differs) with `changes` merged in."""
    if not _is_map(old):
        return _fresh(changes)
    same, merged = True, dict(old)
    for key, value in changes.items():
        before = merged.get(key, _Missing)
        if value is None:
            same = same and before is _Missing
            merged.pop(key, None)
        elif type(value) not in _SCALARS and _is_map(value):
            merged[key] = after = merge_map(before, value)
            same = same and after is before
        else:
            merged[key] = value
            same = same and _alike(before, value)
    return old if same else merged


def _fresh(changes: Mapping[str, Any]) -> dict[str, Any]:
    """The map that a patch makes of nothing."""
    return {
        key: _fresh(value) if type(value) not in _NO_MAPPING and _is_map(value) else value
        for key, value in changes.items()
        if value is not None
    }


def patch_to_wire(model: type[Model], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`changes` as the JSON merge patch that does to the stored object what `merge` does in memory."""
    fields = fields_of(model)
    wire: dict[str, Any] = {}
    for name, value in changes.items():
        field = fields.get(name)
        wire[field.wire if field else name] = _patch_value(field, value)
    return wire


def patch_from_wire(model: type[Model], data: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON merge patch under python names; unknown names stay as they are, values are left to `merge` to judge."""
    fields = fields_of(model)
    changes: dict[str, Any] = {}
    for name, value in data.items():
        field = fields.get(name)
        nested = field.model if field and isinstance(value, Mapping) else None
        changes[field.name if field else name] = patch_from_wire(nested, value) if nested else value
    return changes


def _patch_value(field: ModelField | None, value: Any) -> Any:
    if field is None or value is None:
        return plain(value)
    if field.format:
        return value if isinstance(value, str) else field.format(value)
    if field.model and isinstance(value, Mapping):
        return patch_to_wire(field.model, value)
    if isinstance(value, Model):
        return _replacement(value)
    return plain(value)


def _replacement(model: Model) -> dict[str, Any]:
    """A patch that leaves none of the old fields standing: null for what `model` does not say."""
    wire = to_wire(model)
    for field in declared(type(model)):
        value = model.__dict__[field.name]
        if isinstance(value, Model):
            wire[field.wire] = _replacement(value)
        else:
            wire.setdefault(field.wire, {} if isinstance(value, dict) else None)
    return wire


@cache
def _slots(model: type[Model]) -> dict[str, _Slot]:
    made = {field.name: _Slot(field) for field in declared(model)}
    return {name: made[field.name] for name, field in fields_of(model).items()}


def _trusted(field: ModelField) -> type:
    if field.type is int and (field.format or _bounds(_constraints(field))):
        return int
    if field.type is bool and all(isinstance(each, Strict) for each in _constraints(field)):
        return bool
    return field.type if field.model is None and not field.metadata and _self_evident(field.type) else _Anything


def _constraints(field: ModelField) -> list[Any]:
    return [each for one in field.metadata for each in (one.metadata if isinstance(one, FieldInfo) else (one,))]


def _bounds(constraints: list[Any]) -> range | None:
    """The integers allowed, if two bounds are all there is to it."""
    match [each for each in constraints if not isinstance(each, Strict)]:
        case [Ge(ge=int(least)), Le(le=int(most))]:
            return range(least, most + 1)
    return None


def _entries(field: ModelField) -> type:
    """What the values of a map of strings must be: str, object for anything, `_Anything` for what only a validator knows."""
    if field.metadata or get_origin(field.type) is not dict:
        return _Anything
    return {(str, str): str, (str, Any): object}.get(get_args(field.type), _Anything)


def _self_evident(kind: Any) -> bool:
    return isinstance(kind, type) and (kind is str or issubclass(kind, (Enum, Model)))


def _refusal(model: Model, causes: list[Cause]) -> InvalidObject:
    if isinstance(model, Resource):
        return InvalidObject(causes, type(model).__name__, model.metadata.name)
    return InvalidObject(causes)


def _with_unknown(model: M, changes: Mapping[str, Any]) -> M:
    old = model.__pydantic_extra__ or {}
    extra = merge_map(old, changes)
    if extra is old:
        return model
    copy = model.evolve()
    _set(copy, "__pydantic_extra__", extra)
    return copy


def _all_of(kind: type, values: tuple[Any, ...]) -> bool:
    for each in values:  # noqa: SIM110 - all() with a generator takes twice the time
        if type(each) is not kind:
            return False
    return True


def _equal(one: Any, two: Any) -> bool:
    """`one == two`, spared the slow comparison of models when a tuple of them keeps most of its items."""
    if type(one) is not tuple or type(two) is not tuple:
        return bool(one == two)
    if len(one) != len(two):
        return False
    for a, b in zip(one, two, strict=True):  # noqa: SIM110 - as above
        if a is not b and (_differ(a, b) if type(a) is Condition else a != b):
            return False
    return True


def _differ(one: Condition, two: Condition) -> bool:
    return one.__dict__ != two.__dict__ or one.__pydantic_extra__ != two.__pydantic_extra__


def _alike(one: Any, two: Any) -> bool:
    """Equal as JSON, where 1, 1.0 and true are three things."""
    if one is two:
        return True
    if type(one) in _SCALARS:
        return type(one) is type(two) and bool(one == two)
    if _is_map(one) and _is_map(two):
        return one.keys() == two.keys() and all(_alike(value, two[key]) for key, value in one.items())
    if isinstance(one, (list, tuple)) and isinstance(two, (list, tuple)):
        return len(one) == len(two) and all(map(_alike, one, two))
    return type(one) is type(two) and bool(one == two)


def _is_map(value: Any) -> bool:
    kind = type(value)
    return kind is dict or (kind not in _NO_MAPPING and kind is not _Missing and isinstance(value, Mapping))
