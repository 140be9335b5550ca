"""How scenario files are read: strict mappings, and families whose member is named by one key.

`{chain: {length: 5}}` is a member of the family of shapes, chosen by the key `chain`. Every refusal is one sentence
that says what was expected; a misspelt word names the nearest valid one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema


def refusal(reason: str) -> PydanticCustomError:
    """The error to raise inside a validator: pydantic reports `reason` as it stands, without a prefix."""
    return PydanticCustomError("refused", "{reason}", {"reason": reason})


def refusing(parse: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """`parse` as a validator: its ValueError becomes a `refusal` with the same sentence."""

    def validate(value: Any) -> Any:
        try:
            return parse(value)
        except ValueError as error:
            raise refusal(str(error)) from None

    return validate


def did_you_mean(word: object, valid: Iterable[str]) -> str:
    """', did you mean 'chain'?' when a valid word is close, else the empty string."""
    close = get_close_matches(str(word), list(valid), 1, 0.5)
    return f", did you mean {close[0]!r}?" if close else ""


def one_of(valid: tuple[str, ...], what: str) -> Any:
    """Annotation of a string out of `valid`; another is refused with the nearest valid one."""

    def read(value: Any) -> Any:
        if value not in valid:
            raise ValueError(f"unknown {what} {value!r}: expected {', '.join(valid)}{did_you_mean(value, valid)}")
        return value

    return Annotated[str, BeforeValidator(refusing(read)), WithJsonSchema({"enum": list(valid)})]


@dataclass(frozen=True)
class Whole:
    """Annotation of an int in [least, most]; true, 3.0 and '3' are refused."""

    least: int
    most: int

    def read(self, value: Any) -> Any:
        if type(value) is not int or not self.least <= value <= self.most:
            raise refusal(f"expected a whole number from {self.least} to {self.most}, not {in_words(value)}")
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        inner = core_schema.int_schema(ge=self.least, le=self.most)
        return core_schema.no_info_before_validator_function(self.read, inner)


Width = Annotated[int, Whole(1, 100_000)]
"""How many tasks stand side by side, or in a row."""


class Strict(BaseModel):
    """A frozen mapping of a scenario file: unknown and missing keys are refused in one sentence."""

    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True)

    @model_validator(mode="before")
    @classmethod
    def _keys(cls, value: Any) -> Any:
        if isinstance(value, cls):
            return value
        fields = {field.alias or name: field for name, field in cls.model_fields.items()}
        expected = f"expected {_listed(fields)}"
        if not isinstance(value, Mapping):
            raise refusal(f"{expected} in a mapping, not {in_words(value)}")
        for key in value:
            if key not in fields:
                raise refusal(f"unknown key {key!r}: {expected}{did_you_mean(key, fields)}")
        for key, field in fields.items():
            if field.is_required() and key not in value:
                raise refusal(f"key {key!r} is missing: {expected}")
        return value


@dataclass(frozen=True)
class Family:
    """Annotation of a union of models: a mapping is read by the one that its key names.

    `bare` kinds may be written as the plain word; any other string or number is read by `scalar`, where there is one.
    Raises PydanticCustomError, or the ValidationError of the chosen model with paths inside `value`.
    """

    what: str
    kinds: Mapping[str, type[BaseModel]]
    forms: str
    bare: tuple[str, ...] = ()
    scalar: type[BaseModel] | None = None

    def read(self, value: Any) -> Any:
        if isinstance(value, (*self.kinds.values(), *filter(None, [self.scalar]))):
            return value
        if isinstance(value, Mapping):
            return self._chosen(value).model_validate(value)
        if isinstance(value, str) and value in self.bare:
            return self.kinds[value].model_validate({value: {}})
        if self.scalar and isinstance(value, str | int | float):
            return self.scalar.model_validate(value)
        if isinstance(value, str) and value not in self.kinds:
            raise self._unknown(value)
        raise self._misread(value)

    def _misread(self, value: object) -> PydanticCustomError:
        return refusal(f"expected {self.forms} as {self.what}, not {in_words(value)}")

    def _chosen(self, value: Mapping[Any, Any]) -> type[BaseModel]:
        named = [key for key in value if key in self.kinds]
        if len(named) > 1:
            raise refusal(f"expected one {self.what}, not both {named[0]!r} and {named[1]!r}")
        if not value:
            raise self._misread(value)
        if not named:
            raise self._unknown(next((key for key in value if did_you_mean(key, self.kinds)), next(iter(value))))
        return self.kinds[named[0]]

    def _unknown(self, word: object) -> PydanticCustomError:
        expected = f"expected {_listed(self.kinds)}"
        return refusal(f"unknown {self.what} {str(word)[:40]!r}: {expected}{did_you_mean(word, self.kinds)}")

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.read, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        words = [{"enum": list(self.bare)}] if self.bare else []
        return {"anyOf": [*words, *handler(schema)["anyOf"]]}


def _listed(words: Iterable[str]) -> str:
    *most, last = list(words) or ["nothing"]
    return f"{', '.join(most)} or {last}" if most else last


def in_words(value: object) -> str:
    if isinstance(value, str | bool):
        return repr(value[:40]) if isinstance(value, str) else str(value).lower()
    return {"NoneType": "nothing", "list": "a list", "dict": "a mapping"}.get(type(value).__name__) or repr(value)[:40]
