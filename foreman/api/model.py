"""Model: a frozen value that pydantic validates at the border and never meets again.

A `BaseModel` in memory is dear: its `__getattr__` keeps CPython from specialising the load of a field (17 ns instead of 3), and
every copy carries state that only pydantic reads. So a Model is a plain class. What pydantic knows of its fields hangs on
its `form`, a BaseModel with the same fields that is never instantiated: the form's schema, told to fill instances of the
plain class, validates, serializes and yields the JSON Schema.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Self, dataclass_transform

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, InitErrorDetails

# Wire names that the mechanical snake_case -> camelCase rule gets wrong.
ACRONYMS = {
    "min_ram_gb": "minRAMGB",
    "total_ram_gb": "totalRAMGB",
    "available_ram_gb": "availableRAMGB",
    "commit_sha": "commitSHA",
    "self_go": "selfGO",
    "base_url": "baseURL",
}


def wire_name(field: str) -> str:
    """The camelCase name `field` (snake_case) has on the wire."""
    return ACRONYMS.get(field) or to_camel(field)


class _Form(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        extra="allow",
        alias_generator=wire_name,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        protected_namespaces=(),
        ser_json_inf_nan="null",
        defer_build=True,
    )


_FormType: Any = type(BaseModel)


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(Field,))
class ModelType(type):
    """Takes the fields out of a Model's body and makes its form of them."""

    form: type[BaseModel]

    def __new__(mcs, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> ModelType:
        hints = {name: hint for name, hint in body.get("__annotations__", {}).items() if "ClassVar" not in hint}
        fields = {field: body.pop(field) for field in hints if field in body}
        made = super().__new__(mcs, name, bases, {"__slots__": (), **body})
        if bases:
            above = tuple(base.form for base in bases if isinstance(base, ModelType))
            told = {each: body[each] for each in ("__module__", "__qualname__", "__doc__") if each in body}
            made.form = _FormType(name, above, {**told, "__annotations__": hints, **fields})
        return made

    @property
    def adapter(cls) -> TypeAdapter[Any]:
        """What validates and serializes; made when first asked for."""
        return _adapter(cls)

    @property
    def model_fields(cls) -> dict[str, FieldInfo]:
        """The fields in order of declaration, by python name."""
        return cls.form.model_fields


@cache
def _adapter(cls: ModelType) -> TypeAdapter[Any]:
    return TypeAdapter(cls)


class Model(metaclass=ModelType):
    """A frozen API value; unknown fields survive in `model_extra`."""

    __slots__ = ("__dict__", "__pydantic_extra__", "__pydantic_fields_set__", "__pydantic_private__")
    if TYPE_CHECKING:

        @property
        def __pydantic_extra__(self) -> dict[str, Any] | None: ...

    form: ClassVar[type[BaseModel]] = _Form
    model_config: ClassVar[ConfigDict] = _Form.model_config

    def __init__(self, /, **values: Any) -> None:
        """Raises pydantic's ValidationError."""
        type(self).adapter.validator.validate_python(values, self_instance=self)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """The form's schema, told to fill instances of this class."""
        schema = handler.resolve_ref_schema(handler(cls.form))
        return {**schema, "cls": cls, "ref": f"{cls.__module__}.{cls.__qualname__}:{id(cls)}"}

    @classmethod
    def model_validate(cls, data: Any) -> Self:
        """What `data` (wire or python names) describes, or `data` itself if it is one; raises ValidationError."""
        valid: Self = cls.adapter.validator.validate_python(data)
        return valid

    @classmethod
    def model_json_schema(cls, **options: Any) -> dict[str, Any]:
        return cls.adapter.json_schema(**options)

    def model_dump(self, **options: Any) -> dict[str, Any]:
        dumped: dict[str, Any] = type(self).adapter.dump_python(self, **options)
        return dumped

    def model_dump_json(self, **options: Any) -> str:
        return type(self).adapter.dump_json(self, **options).decode()

    @property
    def model_extra(self) -> dict[str, Any] | None:
        """The unknown fields by wire name."""
        return self.__pydantic_extra__

    def evolve(self, **changes: Any) -> Self:
        """A copy with `changes` (python names, values already valid) applied: about 0.3 us, no validation."""
        copy = _new(type(self))
        _set_fields(copy, {**self.__dict__, **changes})
        _set_extra(copy, self.__pydantic_extra__)
        return copy

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        yield from self.__dict__.items()
        yield from (self.__pydantic_extra__ or {}).items()

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return self.__dict__ == other.__dict__ and (self.__pydantic_extra__ or {}) == (other.__pydantic_extra__ or {})

    def __hash__(self) -> int:
        return hash((type(self), *self.__dict__.values()))

    def __repr__(self) -> str:
        values = {**self.__dict__, **(self.__pydantic_extra__ or {})}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in values.items())})"

    def __deepcopy__(self, memo: object) -> Self:
        """Frozen, so shared: pydantic copies a default that it cannot hash."""
        return self

    def __setattr__(self, name: str, value: object) -> None:
        refusal = InitErrorDetails(type="frozen_instance", loc=(name,), input=value)
        raise ValidationError.from_exception_data(type(self).__name__, [refusal])

    def __delattr__(self, name: str) -> None:
        self.__setattr__(name, None)


_new = object.__new__
# A Model is frozen against `model.x = y`; what its slots hold is set past that, as pydantic does.
_set_fields = Model.__dict__["__dict__"].__set__
_set_extra = Model.__dict__["__pydantic_extra__"].__set__
