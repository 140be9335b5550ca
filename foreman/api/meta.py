"""What every API object is made of: frozen models, metadata, conditions, wire times.

Objects are immutable and shared by reference: the store, every cache and every reconciler may hold the same instance.
Validation happens once, at the border (`from_wire`, a constructor, a merge patch); `evolve` trusts its caller and only copies.
Python names are snake_case, wire names camelCase; fields this version does not know are kept through a round trip.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema
from pydantic.alias_generators import to_camel

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


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time needs a zone, e.g. 2026-01-01T00:00:00Z")
    return moment


def _parse_time(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str):
        return int(_moment(value).timestamp() // 1)
    raise ValueError("expected an RFC 3339 time, e.g. 2026-01-01T00:00:00Z")


@lru_cache(maxsize=4096)
def format_time(seconds: int) -> str:
    """RFC 3339 in UTC at the 1 s resolution of the Kubernetes API: 0 -> '1970-01-01T00:00:00Z'."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


Time = Annotated[
    int,
    BeforeValidator(_parse_time),
    PlainSerializer(format_time, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""A point in time: unix seconds in memory, RFC 3339 on the wire."""

MicroTime = Annotated[
    float,
    BeforeValidator(lambda value: _moment(value).timestamp() if isinstance(value, str) else value),
    PlainSerializer(lambda v: datetime.fromtimestamp(v, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"), return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""A point in time with microseconds, as Leases carry: unix seconds in memory."""

INT32_MAX = 2**31 - 1
Int32 = Annotated[int, Field(strict=True, ge=-INT32_MAX - 1, le=INT32_MAX)]
NonNegative = Annotated[int, Field(strict=True, ge=0, le=INT32_MAX)]
Positive = Annotated[int, Field(strict=True, ge=1, le=INT32_MAX)]
Flag = Annotated[bool, Field(strict=True)]


class Word(StrEnum):
    """One of a fixed set of words. Hashes as the str it is: Enum's own hash is a Python call on every look-up."""

    __hash__ = str.__hash__


_new = object.__new__
# A model is frozen against `model.x = y`; the slots that pydantic keeps its state in are set directly, as it does itself.
_set_dict, _set_fields_set, _set_extra, _set_private = (
    BaseModel.__dict__[slot].__set__
    for slot in ("__dict__", "__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__")
)


class Model(BaseModel):
    """A frozen API value; unknown fields survive in `model_extra`."""

    model_config = ConfigDict(
        frozen=True,
        extra="allow",
        alias_generator=wire_name,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        protected_namespaces=(),
        ser_json_inf_nan="null",
    )

    def evolve(self, **changes: Any) -> Self:
        """A copy with `changes` (python names, values already valid) applied: about 0.6 us, no validation."""
        copy = _new(type(self))
        _set_dict(copy, self.__dict__ | changes)
        _set_fields_set(copy, self.__pydantic_fields_set__)
        _set_extra(copy, self.__pydantic_extra__)
        _set_private(copy, None)
        return copy


class OwnerReference(Model):
    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool | None = None
    block_owner_deletion: bool | None = None


class ObjectMeta(Model):
    name: str = ""
    namespace: str | None = None
    generate_name: str | None = None
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: Time | None = None
    deletion_timestamp: Time | None = None
    deletion_grace_period_seconds: int | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: tuple[OwnerReference, ...] = ()
    finalizers: tuple[str, ...] = ()


class Condition(Model):
    """One observation about an object. The list holds at most one per `type` (listType=map)."""

    type: str = Field(max_length=316)
    status: str = Field(pattern="^(True|False|Unknown)$")
    reason: str = ""
    message: str = ""
    last_transition_time: Time = 0
    observed_generation: int | None = None


_BLANK = Condition(type="Blank", status="Unknown")


class Resource(Model):
    """An object of the API: addressed by kind, namespace (none when cluster-scoped) and name."""

    GROUP: ClassVar[str] = "foreman.llmkube.dev"
    VERSION: ClassVar[str] = "v1alpha1"
    PLURAL: ClassVar[str]
    NAMESPACED: ClassVar[bool] = True
    SHORT_NAMES: ClassVar[tuple[str, ...]] = ()
    COLUMNS: ClassVar[tuple[tuple[str, str, str], ...]] = ()
    """Printer columns of `kubectl get`: (title, type, JSON path)."""
    SELECTABLE: ClassVar[tuple[str, ...]] = ()
    """JSON paths that a field selector may name, besides metadata."""
    RULES: ClassVar[tuple[tuple[str, Mapping[str, Any]], ...]] = ()
    """What its CRD demands beyond what the models do, for objects that others have stored must be readable: a path in the
    schema ('spec.tools[]' is of each item), and what is added there."""

    api_version: str
    kind: str
    metadata: ObjectMeta = ObjectMeta()

    @property
    def key(self) -> str:
        """'namespace/name', or 'name' when the kind is cluster-scoped: unique within the kind."""
        meta = self.metadata
        namespace = meta.namespace
        return f"{namespace}/{meta.name}" if namespace else meta.name

    @property
    def version(self) -> str:
        """The opaque version for conditional writes (`metadata.resourceVersion`)."""
        return self.metadata.resource_version


class LocalObjectReference(Model):
    name: str = ""


def condition(conditions: tuple[Condition, ...], type_: str) -> Condition | None:
    """The condition of that type, or None."""
    for each in conditions:
        if each.type == type_:
            return each
    return None


def with_condition(
    conditions: tuple[Condition, ...], type_: str, status: bool, reason: str, message: str, at: int
) -> tuple[Condition, ...]:
    """`conditions` with the one of `type_` replaced in place or appended.

    The transition time moves only when the status does, so writing the same news twice changes nothing
    (the original stamps it at every pass and so wakes itself: hazard L21).
    """
    word = "True" if status else "False"
    for place, old in enumerate(conditions):
        if old.type == type_:
            kept = old.status == word
            if kept and old.reason == reason and old.message == message:
                return conditions
            when = old.last_transition_time if kept else at
            new = old.evolve(status=word, reason=reason, message=message, last_transition_time=when)
            return (*conditions[:place], new, *conditions[place + 1 :])
    new = _BLANK.evolve(type=type_, status=word, reason=reason, message=message, last_transition_time=at)
    return (*conditions, new)
