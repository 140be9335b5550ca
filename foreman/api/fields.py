"""What the wire form, patches, errors and CRDs need to know about each field of a model, worked out once per class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import PlainSerializer, TypeAdapter
from pydantic.fields import FieldInfo

from .meta import Model


@dataclass(frozen=True, slots=True)
class ModelField:
    """One field: `type` and `metadata` are the annotation without `| None`.

    `model`: the class when it holds a Model; `item`: the class of a tuple's items;
    `format`: in-memory value -> wire string, for times.
    """

    name: str
    wire: str
    required: bool
    default: Any
    type: Any
    metadata: tuple[Any, ...]
    model: type[Model] | None
    item: Any
    is_dict: bool
    format: Callable[[Any], str] | None

    @property
    def holds(self) -> type[Model] | None:
        """The class of the model in it, or of the models in its list."""
        return self.model or _as_model(self.item)

    def validator(self) -> Callable[[Any], Any]:
        """Validates one value (never None) of this field; raises pydantic's ValidationError."""
        annotated: Any = Annotated[(self.type, *self.metadata)] if self.metadata else self.type
        return TypeAdapter[Any](annotated).validator.validate_python


@cache
def fields_of(model: type[Model]) -> dict[str, ModelField]:
    """The fields of `model` in order of declaration, by python name and then again by wire name."""
    fields = {name: _field(name, info) for name, info in model.model_fields.items()}
    return fields | {field.wire: field for field in fields.values()}


@cache
def declared(model: type[Model]) -> tuple[ModelField, ...]:
    """The fields of `model`, once each."""
    return tuple(fields_of(model)[name] for name in model.model_fields)


def _field(name: str, info: FieldInfo) -> ModelField:
    kind, metadata = _plain(info.annotation, tuple(info.metadata))
    origin, args = get_origin(kind), get_args(kind)
    serializer = next((each for each in metadata if isinstance(each, PlainSerializer)), None)
    return ModelField(
        name=name,
        wire=info.alias or name,
        required=info.is_required(),
        default=None if info.is_required() else info.default,
        type=kind,
        metadata=metadata,
        model=_as_model(kind),
        item=args[0] if origin is tuple else None,
        is_dict=origin is dict,
        format=serializer and serializer.func,  # type: ignore[arg-type]
    )


def _plain(annotation: Any, metadata: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
    """`Annotated[X, m] | None` -> (X, (m,))."""
    if get_origin(annotation) in (Union, UnionType):
        (annotation,) = (each for each in get_args(annotation) if each is not type(None))
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        return inner, (*metadata, *more)
    return annotation, metadata


def _as_model(kind: Any) -> type[Model] | None:
    return kind if isinstance(kind, type) and issubclass(kind, Model) else None
