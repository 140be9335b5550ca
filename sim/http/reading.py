"""From the body of a request to a document that can be stored: decoded, pruned, defaulted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sim.http import meta, schema
from sim.http.decode import Malformed, from_json, from_yaml, kind_of, repeated_fields
from sim.http.protobuf import MEDIA_TYPE, Unreadable, from_protobuf
from sim.http.request import Request
from sim.http.served import Served
from sim.http.status import Cause, Json, Name, Refusal, bad_request, invalid, unsupported_media

_SUMMARY = 30
_NO_STRUCT = (
    'Go value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; '
    'Kind string "json:\\"kind,omitempty\\"" }'
)
ACCEPTED = "application/json, application/yaml, application/vnd.kubernetes.protobuf"


def body_document(request: Request, served: Served) -> Json:
    """The object in the body of a create or an update. Raises Refusal."""
    data = _decoded(request, f"the object provided is unrecognized (must be of type {served.kind}): ")
    if not served.custom:
        # What is built in is known without being told.
        data = {"kind": served.kind, "apiVersion": served.api_version} | data
    if not data.get("kind"):
        why = f"Object 'Kind' is missing in '{request.body.decode()}' ({_summary(request.body)})"
        raise bad_request(f"the object provided is unrecognized (must be of type {served.kind}): {why}")
    if data.get("apiVersion", "") != served.api_version:
        expected = f"does not match the expected API version ({served.api_version})"
        raise bad_request(f"the API version in the data ({data.get('apiVersion', '')}) {expected}")
    repeated = [f'duplicate field "{path}"' for path in repeated_fields(data)]
    unrecognized = f'{data["kind"]} in version "{served.version}" cannot be handled as a {served.kind}: '
    doc, unknown = cleaned(served, data, unrecognized)
    _object_to(request, repeated + unknown, unrecognized)
    return doc


def _decoded(request: Request, prefix: str) -> Json:
    media = request.media_type
    if media == MEDIA_TYPE:
        return _from_protobuf(request.body)
    if media not in ("", "application/json", "application/yaml"):
        raise unsupported_media(ACCEPTED)
    where = f" ({_summary(request.body)})"
    try:
        data = from_yaml(request.body) if media == "application/yaml" else from_json(request.body)
    except Malformed as error:
        parse = "" if media == "application/yaml" else "couldn't get version/kind; json parse error: "
        raise bad_request(f"{prefix}{parse}{error}{where}") from None
    if data is None:
        raise bad_request(f"{prefix}Object 'Kind' is missing in '{request.body.decode()}'{where}")
    if not isinstance(data, dict):
        why = f"couldn't get version/kind; json parse error: json: cannot unmarshal {kind_of(data)} into {_NO_STRUCT}"
        raise bad_request(f"{prefix}{why}{where}")
    for field in ("apiVersion", "kind"):
        if not isinstance(data.get(field, ""), str):
            why = f"json: cannot unmarshal {kind_of(data[field])} into Go struct field .{field} of type string"
            raise bad_request(f"{prefix}couldn't get version/kind; json parse error: {why}{where}")
    return data


def _from_protobuf(body: bytes) -> Json:
    try:
        return from_protobuf(body)
    except Unreadable:
        raise unsupported_media(ACCEPTED) from None


def _summary(data: bytes) -> str:
    """The beginning of a body, in hex unless it looks like JSON."""
    if not data:
        return "<empty>"
    beginning = data[:_SUMMARY]
    told = beginning.decode(errors="replace") if data[:1] == b"{" else beginning.hex()
    return told + (" ..." if len(data) > _SUMMARY else "")


def any_document(request: Request) -> Json:
    """The object in the body, of whatever kind, as it was sent. Raises Refusal."""
    return _decoded(request, "")


def cleaned(served: Served, data: Mapping[str, Any], unrecognized: str = "") -> tuple[Json, list[str]]:
    """(`data` pruned and with defaults, what was unknown in it: 'unknown field "spec.foo"'). Raises Refusal."""
    doc = _copied(data)
    try:
        doc["metadata"], unknown = meta.tidy(data.get("metadata"))
    except meta.Undecodable as error:
        raise bad_request(f"{unrecognized}{error}") from None
    kept = doc.pop("metadata")
    unknown += sorted(schema.prune(doc, served.schema))
    schema.fill(doc, served.schema)
    doc["metadata"] = kept
    return doc, [f'unknown field "{path}"' for path in unknown]


def _copied(data: Mapping[str, Any]) -> Json:
    return {key: _copied_value(value) for key, value in data.items()}


def _copied_value(value: Any) -> Any:
    if isinstance(value, dict):
        return _copied(value)
    return [_copied_value(each) for each in value] if isinstance(value, list) else value


def _object_to(request: Request, complaints: list[str], unrecognized: str) -> None:
    """Unknown and repeated fields are refused, warned of, or passed over."""
    level = request.query.get("fieldValidation") or "Warn"
    if complaints and level == "Strict":
        raise bad_request(f"{unrecognized}strict decoding error: {', '.join(complaints)}")
    if level == "Warn":
        request.warn(complaints)


def patched_document(request: Request, served: Served, patched: Any) -> Json:
    """The same for what a patch has made of an object. Raises Refusal."""
    if not isinstance(patched, dict):
        why = f"json: cannot unmarshal {kind_of(patched)} into {_NO_STRUCT}"
        raise _bad_patch(patched, f"couldn't get version/kind; json parse error: {why}")
    if not patched.get("kind"):
        raise _bad_patch(patched, f"Object 'Kind' is missing in '{_compact(patched)}'")
    try:
        doc, unknown = cleaned(served, patched)
    except Refusal as refusal:
        raise _bad_patch(patched, refusal.message) from None
    level = request.query.get("fieldValidation") or "Warn"
    if unknown and level == "Strict":
        raise _bad_patch(patched, f"strict decoding error: {', '.join(unknown)}")
    if level == "Warn":
        request.warn(unknown)
    return doc


def _compact(data: Any) -> str:
    return json.dumps(data, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


def _bad_patch(patched: Any, why: str) -> Refusal:
    """The refusal of what a patch has made, told whole."""
    message = f"Invalid value: {json.dumps(_compact(patched), ensure_ascii=False)}: {why}"
    return invalid(Name("", ""), "", [Cause("FieldValueInvalid", "patch", message)])


def applied_document(request: Request, served: Served) -> Json:
    """What an apply patch applies. Raises Refusal."""
    try:
        data = from_yaml(request.body)
    except Malformed as error:
        raise bad_request(f"error decoding YAML: error converting YAML to JSON: {error}") from None
    given = data if isinstance(data, dict) else {}
    if (given.get("apiVersion"), given.get("kind")) != (served.api_version, served.kind):
        group, slash, version = str(given.get("apiVersion", "")).rpartition("/")
        told = f"{group}{slash}{version}" if version else "/"
        raise bad_request(f"invalid object type: {told}, Kind={given.get('kind', '')}")
    if given.get("metadata", {}).get("managedFields") is not None:
        raise bad_request("metadata.managedFields must be nil")
    wanted = _copied(given)
    wanted.pop("metadata", None)
    unknown = sorted(schema.prune(wanted, served.schema))
    try:
        wanted["metadata"], _ = meta.tidy(given.get("metadata"))
    except meta.Undecodable as error:
        raise bad_request(str(error)) from None
    if unknown:
        name = f"{wanted['metadata'].get('namespace', '')}/{wanted['metadata'].get('name', '')}"
        what = f"({name}; {served.api_version}, Kind={served.kind})"
        raise Refusal(
            500, "", f"failed to create typed patch object {what}: .{unknown[0]}: field not declared in schema"
        )
    return wanted
