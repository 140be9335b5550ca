"""The JSON Schema of scenario files, from which editors complete and check them."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from foreman.api import AgenticTask
from foreman.api.crd import schema as crd_schema
from sim.mutations import MUTATIONS
from sim.references import expectable
from sim.scenario import Scenario

_Schema = dict[str, Any]


def schema() -> _Schema:
    """JSON Schema, draft 2020-12. Only what a file cannot show is missing: that hosts, tasks and agents exist."""
    made = Scenario.model_json_schema(schema_generator=_AsWritten)
    models = made["$defs"]
    for model in (made, *models.values()):
        for each in model.get("properties", {}).values():
            # pydantic's titles repeat the key, in words run together
            each.pop("title", None)
        if model.get("additionalProperties") is True:
            model["additionalProperties"] = False
    models["TaskSeed"]["properties"]["spec"] = crd_schema(AgenticTask)["properties"]["spec"]
    made["properties"]["expect"] |= {
        "properties": {path: {} for path in sorted(expectable())},
        "patternProperties": {r"^faults\.": {}},
        "additionalProperties": False,
    }
    made["properties"]["mutations"]["items"] = {"enum": sorted(MUTATIONS)}
    return {"$schema": GenerateJsonSchema.schema_dialect, **made, "title": "Foreman scenario"}


class _AsWritten(GenerateJsonSchema):
    """Shows defaults the way a file writes them: '30s', not microseconds."""

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        made = super().default_schema(schema)
        written = schema["schema"].get("serialization", {})
        if "default" in made and written.get("type") == "function-plain":
            made["default"] = written["function"](schema["default"])
        return made
