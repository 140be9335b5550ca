"""The `foreman.v1` envelope: what an executor hands back and `status.result` keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError

from .meta import Model

SCHEMA_VERSION = "foreman.v1"


class BadEnvelope(ValueError):
    """The data is no `foreman.v1` envelope; the text says in one line why."""


class Result(Model):
    """`verdict` is any string: the API server, not the executor's wrapper, refuses one outside the enum."""

    schema_version: Literal["foreman.v1"] = "foreman.v1"
    kind: str
    verdict: str
    summary: str = ""
    extra: dict[str, Any] = {}
    elapsed_sec: Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)] = 0.0
    failure_reason: str | None = None

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Self:
        """The envelope in `data` (wire names); `BadEnvelope` for another schema or malformed data."""
        if not isinstance(data, Mapping):
            raise BadEnvelope(f"result envelope: expected an object, got {type(data).__name__}")
        version = data.get("schemaVersion")
        if version != SCHEMA_VERSION:
            raise BadEnvelope(
                f"result envelope: schemaVersion {version!r} is not supported; expected {SCHEMA_VERSION!r}"
            )
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise BadEnvelope("result envelope: " + "; ".join(map(_line, error.errors()))) from None


def _line(error: Mapping[str, Any]) -> str:
    where = ".".join(map(str, error["loc"]))
    return f"{where}: {error['msg'][:1].lower()}{error['msg'][1:]}"
