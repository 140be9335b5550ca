"""ObjectMeta as an API server reads and judges it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from sim.http.decode import kind_of
from sim.http.schema import is_time
from sim.http.status import Cause, Json

# Field -> what Go's struct holds there; a value of another type cannot be decoded at all.
_TYPES = {
    "name": "string",
    "generateName": "string",
    "namespace": "string",
    "selfLink": "string",
    "uid": "types.UID",
    "resourceVersion": "string",
    "generation": "int64",
    "creationTimestamp": "v1.Time",
    "deletionTimestamp": "v1.Time",
    "deletionGracePeriodSeconds": "int64",
    "labels": "map[string]string",
    "annotations": "map[string]string",
    "ownerReferences": "[]v1.OwnerReference",
    "finalizers": "[]string",
    "managedFields": "[]v1.ManagedFieldsEntry",
}
_STRING = {"string", "types.UID", "v1.Time"}
_OWNER = ("apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end "
    "with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an "
    "alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_EXAMPLES = (
    "(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_PARTS = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
)
VALUE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end "
    "with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
ANNOTATIONS_MAX = 256 * 1024


class Undecodable(ValueError):
    """Metadata that does not fit Go's struct; `str()` is the complaint of Go's decoder."""


def tidy(given: Any) -> tuple[Json, list[str]]:
    """(metadata with nothing empty or unknown in it, the unknown fields). Raises Undecodable."""
    if given is None:
        return {}, []
    if not isinstance(given, Mapping):
        raise Undecodable(f"json: cannot unmarshal {kind_of(given)} into Go value of type v1.ObjectMeta")
    for name, value in given.items():
        if name in _TYPES and value is not None:
            _decodable(name, _TYPES[name], value)
    kept = {name: value for name, value in given.items() if name in _TYPES and value not in (None, "", {}, [], 0)}
    kept.pop("selfLink", None)
    for name in ("labels", "annotations"):
        if name in kept:
            kept[name] = {key: value or "" for key, value in kept[name].items()}
    if "ownerReferences" in kept:
        owners = {owner["uid"]: owner for owner in reversed([_owner(each) for each in kept["ownerReferences"]])}
        kept["ownerReferences"] = list(reversed(owners.values()))
    unknown = [f"metadata.{name}" for name in given if name not in _TYPES]
    for number, owner in enumerate(given.get("ownerReferences") or ()):
        unknown += [f"metadata.ownerReferences[{number}].{name}" for name in owner if name not in _OWNER]
    return kept, unknown


def _owner(given: Mapping[str, Any]) -> Json:
    required = {"apiVersion": "", "kind": "", "name": "", "uid": ""}
    return required | {key: given[key] for key in _OWNER if given.get(key) is not None}


def _decodable(name: str, wanted: str, value: Any) -> None:
    found = kind_of(value)
    if wanted in _STRING:
        _require(found == "string", found, name, wanted)
        if wanted == "v1.Time" and not is_time(value):
            layout = '"2006-01-02T15:04:05Z07:00"'
            raise Undecodable(f'parsing time "{value}" as {layout}: cannot parse "{value}" as "2006"')
    elif wanted == "int64":
        _require(isinstance(value, int) and found == "number", found, name, wanted)
    elif wanted.startswith("map"):
        _require(found == "object", found, name, wanted)
        for each in value.values():
            _require(each is None or isinstance(each, str), kind_of(each), name, "string")
    else:
        _require(found == "array", found, name, wanted)
        for each in value:
            inner = "string" if wanted == "[]string" else "object"
            _require(kind_of(each) == inner, kind_of(each), name, wanted.removeprefix("[]"))


def _require(fits: bool, found: str, name: str, wanted: str) -> None:
    if not fits:
        raise Undecodable(f"json: cannot unmarshal {found} into Go struct field ObjectMeta.{name} of type {wanted}")


def check(meta: Mapping[str, Any]) -> Iterator[Cause]:
    """What is wrong with the metadata of an object that is to be stored."""
    name, prefix, namespace = meta.get("name", ""), meta.get("generateName", ""), meta.get("namespace", "")
    if prefix and not _SUBDOMAIN.fullmatch(prefix.removesuffix("-") + ("a" if prefix.endswith("-") else "")):
        yield _invalid("metadata.generateName", prefix, SUBDOMAIN)
    if namespace and not _LABEL.fullmatch(namespace):
        yield _invalid("metadata.namespace", namespace, LABEL)
    if not name:
        yield Cause("FieldValueRequired", "metadata.name", "Required value: name or generateName is required")
    elif not _SUBDOMAIN.fullmatch(name):
        yield _invalid("metadata.name", name, SUBDOMAIN)
    elif len(name) > 253:
        yield _invalid("metadata.name", name, "must be no more than 253 characters")
    yield from _check_labels(meta.get("labels", {}))
    yield from _check_annotations(meta.get("annotations", {}))
    yield from _check_owners(meta.get("ownerReferences", ()))
    for finalizer in meta.get("finalizers", ()):
        yield from (_invalid("metadata.finalizers", finalizer, why) for why in qualified_name_faults(finalizer))


def _check_labels(labels: Mapping[str, str]) -> Iterator[Cause]:
    for key, value in sorted(labels.items()):
        yield from (_invalid("metadata.labels", key, why) for why in qualified_name_faults(key))
        yield from (_invalid("metadata.labels", value, why) for why in label_value_faults(value))


def _check_annotations(annotations: Mapping[str, str]) -> Iterator[Cause]:
    for key in sorted(annotations):
        yield from (_invalid("metadata.annotations", key, why) for why in qualified_name_faults(key.lower()))
    if sum(len(key) + len(value) for key, value in annotations.items()) > ANNOTATIONS_MAX:
        message = f"Too long: may not be more than {ANNOTATIONS_MAX} bytes"
        yield Cause("FieldValueTooLong", "metadata.annotations", message)


def _check_owners(owners: Any) -> Iterator[Cause]:
    for owner in owners:
        for field in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(field):
                what = "version must not be empty" if field == "apiVersion" else "must not be empty"
                yield _invalid(f"metadata.ownerReferences.{field}", "", what)
        if (owner["apiVersion"], owner["kind"]) in (("v1", "Event"), ("events.k8s.io/v1", "Event")):
            group, _, version = owner["apiVersion"].rpartition("/")
            told = json.dumps(owner, separators=(",", ":"))
            why = f"{group}/{version}, Kind=Event is disallowed from being an owner"
            yield Cause("FieldValueInvalid", "metadata.ownerReferences", f"Invalid value: {told}: {why}")
    controllers = [f"{owner['kind']}/{owner['name']}" for owner in owners if owner.get("controller")]
    if len(controllers) > 1:
        told = json.dumps(owners, separators=(",", ":"))
        both = " and ".join(controllers[:2])
        why = f'Only one reference can have Controller set to true. Found "true" in references for {both}'
        yield Cause("FieldValueInvalid", "metadata.ownerReferences", f"Invalid value: {told}: {why}")


def _invalid(field: str, value: str, why: str) -> Cause:
    return Cause("FieldValueInvalid", field, f"Invalid value: {json.dumps(value, ensure_ascii=False)}: {why}")


def qualified_name_faults(key: str) -> Iterator[str]:
    """What is wrong with a label key, an annotation key, a finalizer."""
    prefix, slash, name = key.rpartition("/")
    if "/" in prefix:
        optional = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        yield f"a valid label key {_PARTS} {_EXAMPLES} {optional}"
        return
    if slash and not prefix:
        yield "prefix part must be non-empty"
    elif slash and not _SUBDOMAIN.fullmatch(prefix):
        yield f"prefix part {SUBDOMAIN}"
    if not name:
        yield "name part must be non-empty"
    elif len(name) > 63:
        yield "name part must be no more than 63 bytes"
    if not _QUALIFIED.fullmatch(name):
        yield f"name part {_PARTS} {_EXAMPLES}"


def label_value_faults(value: str) -> Iterator[str]:
    if len(value) > 63:
        yield "must be no more than 63 bytes"
    if not _VALUE.fullmatch(value):
        yield VALUE


def warnings(meta: Mapping[str, Any]) -> list[str]:
    """What is allowed but unwise."""
    why = "prefer a domain-qualified finalizer name to avoid accidental conflicts with other finalizer writers"
    standard = {"orphan", "foregroundDeletion", "kubernetes"}
    unwise = [each for each in meta.get("finalizers", ()) if "/" not in each and each not in standard]
    return [f'metadata.finalizers: "{each}": {why}' for each in unwise]


def check_update(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Cause]:
    """What an update may not change. The server looks twice, so every cause comes twice."""
    causes = [*_check_immutable(old, new)]
    yield from causes
    yield from causes


def _check_immutable(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Cause]:
    if old.get("deletionTimestamp"):
        fresh = [each for each in new.get("finalizers", ()) if each not in old.get("finalizers", ())]
        if fresh:
            told = ", ".join(f'"{each}"' for each in sorted(fresh))
            why = "no new finalizers can be added if the object is being deleted, found new finalizers"
            yield Cause("FieldValueForbidden", "metadata.finalizers", f"Forbidden: {why} []string{{{told}}}")
    for field in ("name", "namespace", "uid", "deletionTimestamp", "deletionGracePeriodSeconds"):
        if new.get(field) != old.get(field):
            value = json.dumps(new.get(field))
            yield Cause("FieldValueInvalid", f"metadata.{field}", f"Invalid value: {value}: field is immutable")
