"""Creating, changing and deleting objects, as a registry of Kubernetes does it: on documents, committed to the store as models.

The store's own create, patch and delete serve typed clients. A document says more than a model (what was given although it says
nothing, who owns which field), so what a document becomes is worked out here and committed whole.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from foreman.api import InvalidObject, format_time, parse
from foreman.api.fields import fields_of
from foreman.api.meta import Resource
from foreman.api.patch import patch_from_wire
from sim.apiserver import ApiServer
from sim.cascade import FOREGROUND, ORPHAN
from sim.http import meta, rules, schema
from sim.http.documents import Documents
from sim.http.ownership import Owner, Shape, after_update
from sim.http.patches import difference, same
from sim.http.request import Request
from sim.http.served import Served
from sim.http.status import (
    MODIFIED,
    Cause,
    Json,
    Name,
    Refusal,
    already_exists,
    bad_request,
    conflict,
    internal,
    invalid,
    not_found,
    success,
)

Admit = Callable[[Request, Served, Json | None, Json | None], str | None]
"""(request, resource, old, new) -> why it is denied, or None. `new` is None for a delete, `old` for a create."""
Change = Callable[[Json], Json]
_SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


def _admit_all(request: Request, served: Served, old: Json | None, new: Json | None) -> str | None:
    return None


@cache
def shape_of(served: Served) -> Shape:
    return Shape(served.schema)


class Writes:
    """Every write that comes in over HTTP."""

    def __init__(self, server: ApiServer, docs: Documents, admit: Admit | None = None) -> None:
        self.server = server
        self.docs = docs
        self.admit = admit or _admit_all
        self.luck = random.Random()

    def current(self, served: Served, namespace: str, name: str) -> Resource:
        """The object as it is. Raises Refusal."""
        found = self.server.tables[served.kind].get(served.key(namespace, name))
        if found is None:
            raise not_found(served.resource, name)
        return found  # type: ignore[no-any-return]

    def now(self) -> str:
        return format_time(self.server.wall())

    def owner(self, request: Request, served: Served, operation: str) -> Owner:
        target = request.target
        return Owner(request.manager, operation, served.api_version, target.subresource if target else "")

    # create

    def create(self, request: Request, served: Served, namespace: str, doc: Json) -> Json:
        """The object that `doc` becomes. Raises Refusal."""
        given = doc["metadata"]
        fit_namespace(served, namespace, given)
        if not given.get("name") and given.get("generateName"):
            given["name"] = given["generateName"][:58] + "".join(self.luck.choices(_SUFFIX_LETTERS, k=5))
        version = given.pop("resourceVersion", "")
        for field in ("deletionTimestamp", "deletionGracePeriodSeconds", "managedFields"):
            managed = given.pop(field, None)
        if served.has_status and served.custom:
            doc.pop("status", None)
        given |= {"uid": self.server.new_uid(), "creationTimestamp": self.now()}
        if served.custom:
            given["generation"] = 1
        given["managedFields"] = managed if request.media_type == APPLY else self._owned(request, served, None, doc)
        self._judge(request, served, None, doc)
        if version:
            raise internal("resourceVersion should not be set on objects to be created")
        if served.key(namespace, given["name"]) in self.server.tables[served.kind]:
            raise already_exists(served.resource, given["name"])
        return self._commit(request, "create", served, None, doc)

    def _owned(self, request: Request, served: Served, old: Json | None, doc: Json) -> list[Json]:
        owner = self.owner(request, served, "Update")
        return after_update(shape_of(served), old, doc, owner, self.now())

    def _judge(self, request: Request, served: Served, old: Json | None, doc: Json) -> None:
        """Refuse a document that is not valid, or that admission denies."""
        name = doc["metadata"].get("name", "")
        causes = _type_faults(served, doc) or _metadata_faults(old, doc)
        if request.target is not None and request.target.subresource == "status":
            causes += schema.check_status(doc["status"], served.schema) if "status" in doc else ()
        else:
            causes += schema.check(doc, served.schema)
            # As a server does that ratchets: what is unchanged is not judged anew.
            if not causes and (old is None or old.get("spec") != doc.get("spec")):
                causes += rules.broken(doc, served.schema)
        if causes:
            group = str(doc.get("apiVersion", "")).rpartition("/")[0]
            raise invalid(Name(group, str(doc.get("kind", ""))), name, causes)
        request.warn(meta.warnings(doc["metadata"]))
        self._ask_admission(request, served, old, doc)

    def _ask_admission(self, request: Request, served: Served, old: Json | None, new: Json | None) -> None:
        why = self.admit(request, served, old, new)
        if why is not None:
            name = (new or old or {})["metadata"].get("name", "")
            message = f'{served.resource} "{name}" is forbidden: {why}'
            raise Refusal(403, "Forbidden", message, served.resource.details(name))

    # update

    def update(self, request: Request, served: Served, namespace: str, name: str, change: Change) -> Json:
        """The object after `change` (the document as it is -> as it is wanted). Raises Refusal."""
        obj = self.current(served, namespace, name)
        old = self.docs.of(obj)
        new = change(old)
        fit_namespace(served, namespace, new["metadata"])
        _fit_name(name, new["metadata"])
        if request.method == "PUT":
            _check_uid(served, obj.key, old["metadata"], new["metadata"])
        _check_version(served, name, old["metadata"], new["metadata"])
        status = request.target is not None and request.target.subresource == "status"
        new = self._prepared(request, served, old, new, status)
        if same(_timeless(old), _timeless(new)):
            self._judge(request, served, old, new)
            return old
        self._judge(request, served, old, new)
        if old["metadata"].get("deletionTimestamp") and not new["metadata"].get("finalizers"):
            return self._removed(request, served, old, new)
        return self._commit(request, "patch_status" if status else "patch", served, old, new)

    def _prepared(self, request: Request, served: Served, old: Json, new: Json, status: bool) -> Json:
        """`new` with what the client may not write put back as it was, its generation, and its owners."""
        if status:
            applied = new["metadata"].get("managedFields")
            new = {**old, "metadata": dict(old["metadata"]), "status": new.get("status")}
            new["metadata"]["managedFields"] = applied
            if new["status"] is None:
                del new["status"]
        elif served.has_status and served.custom:
            new = {key: value for key, value in new.items() if key != "status"}
            new |= {"status": old["status"]} if "status" in old else {}
        given, before = new["metadata"], old["metadata"]
        given["creationTimestamp"] = before["creationTimestamp"]
        for field in ("uid", "deletionTimestamp", "deletionGracePeriodSeconds"):
            if field in before:
                given.setdefault(field, before[field])
        given["resourceVersion"] = before["resourceVersion"]
        if "generation" in before:
            moved = not status and not same(_without_metadata(old), _without_metadata(new))
            given["generation"] = before["generation"] + moved
        if request.media_type != APPLY:
            given["managedFields"] = self._owned(request, served, old, new)
        if not given.get("managedFields"):
            given.pop("managedFields", None)
        return new

    def _removed(self, request: Request, served: Served, old: Json, new: Json) -> Json:
        """The last finalizer is off an object that was to be deleted."""
        if not request.dry_run:
            self.remove(request.user, served, old)
        return new

    # delete

    def delete(self, request: Request, served: Served, namespace: str, name: str, options: Mapping[str, Any]) -> Json:
        """The Status of a deletion, or the object that waits for its finalizers. Raises Refusal."""
        obj = self.current(served, namespace, name)
        old = self.docs.of(obj)
        _check_preconditions(served, name, old["metadata"], options.get("preconditions") or {})
        self._ask_admission(request, served, old, None)
        dry = request.dry_run or bool(options.get("dryRun"))
        finalizers = _finalizers_for(old["metadata"].get("finalizers", []), options)
        if not finalizers:
            if not dry:
                self.remove(request.user, served, old)
            return success(served.resource.details(name, uid=old["metadata"]["uid"]))
        marked = {**old["metadata"], "finalizers": finalizers}
        if not old["metadata"].get("deletionTimestamp"):
            marked |= {"deletionTimestamp": self.now(), "deletionGracePeriodSeconds": 0}
            if "generation" in marked:
                marked["generation"] += 1
        if dry or marked == old["metadata"]:
            return {**old, "metadata": marked}
        return self._commit(request, "delete", served, old, {**old, "metadata": marked})

    def remove(self, actor: str, served: Served, old: Json) -> None:
        obj = self.server.tables[served.kind][served.key(old["metadata"].get("namespace"), old["metadata"]["name"])]
        self.server.commit("delete", actor, served.kind, obj.key, obj, None, {})

    # commit

    def _commit(self, request: Request, verb: str, served: Served, old: Json | None, new: Json) -> Json:
        if request.dry_run:
            return new
        return self.commit(request.user, verb, served, old, new)

    def commit(self, actor: str, verb: str, served: Served, old: Json | None, new: Json) -> Json:
        """Store `new` in the place of `old`. Raises Refusal when it is no valid object."""
        new = {**new, "metadata": {**new["metadata"], "resourceVersion": str(self.server.version + 1)}}
        before = None
        if old is not None:
            before = self.current(served, new["metadata"].get("namespace", ""), new["metadata"]["name"])
        obj = model_of(served, new)
        self.docs.keep(new)
        fields = _fields_written(served, verb, old, new)
        self.server.commit(verb, actor, served.kind, obj.key, before, obj, fields)
        return new


APPLY = "application/apply-patch+yaml"


def model_of(served: Served, doc: Json) -> Resource:
    """The model of a valid document; who owns its fields stays with the document."""
    bare = {key: value for key, value in doc["metadata"].items() if key != "managedFields"}
    try:
        return parse(served.model, {**doc, "metadata": bare})
    except InvalidObject as error:
        causes = [Cause("FieldValueInvalid", path, message) for path, message in error.causes]
        raise invalid(served.called, bare.get("name", ""), causes) from None


def _fields_written(served: Served, verb: str, old: Json | None, new: Json) -> Mapping[str, Any]:
    """The merge patch from old to new, in python names, as observers of the store know it."""
    if old is None or verb == "delete":
        return {}
    if verb == "patch_status":
        status = fields_of(served.model)["status"].model
        changes = difference(old.get("status", {}), new.get("status", {}))
        return patch_from_wire(status, changes) if status is not None else changes
    changes = difference(old, new)
    for field in ("resourceVersion", "generation", "managedFields"):
        changes.get("metadata", {}).pop(field, None)
    return patch_from_wire(served.model, {key: value for key, value in changes.items() if value != {}})


def _type_faults(served: Served, doc: Json) -> list[Cause]:
    causes = []
    for field, wanted in (("kind", served.kind), ("apiVersion", served.api_version)):
        if doc.get(field) != wanted:
            causes.append(Cause("FieldValueInvalid", field, f'Invalid value: "{doc.get(field, "")}": must be {wanted}'))
    return causes


def _metadata_faults(old: Json | None, doc: Json) -> list[Cause]:
    causes = list(meta.check_update(old["metadata"], doc["metadata"])) if old is not None else []
    return causes + list(meta.check(doc["metadata"]))


def fit_namespace(served: Served, namespace: str, given: Json) -> None:
    """Put the request's namespace into the metadata. Raises Refusal when another is there."""
    if not served.namespaced:
        given.pop("namespace", None)
    elif given.setdefault("namespace", namespace) != namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")


def _fit_name(name: str, given: Json) -> None:
    told = given.get("name", "")
    if not told:
        raise bad_request(f"the name of the object ({name} based on URL) was undeterminable: name must be provided")
    if told != name:
        raise bad_request(f"the name of the object ({told}) does not match the name on the URL ({name})")


def _check_uid(served: Served, key: str, before: Json, given: Json) -> None:
    wanted = given.get("uid")
    if wanted and wanted != before["uid"]:
        path = f"/registry/{served.group}/{served.plural}/{key}"
        why = f"Precondition failed: UID in precondition: {wanted}, UID in object meta: {before['uid']}"
        told = f"StorageError: invalid object, Code: 4, Key: {path}, ResourceVersion: 0, AdditionalErrorMsg: {why}"
        raise conflict(served.resource, before["name"], told)


def _check_version(served: Served, name: str, before: Json, given: Json) -> None:
    version = given.get("resourceVersion") or "0"
    if not version.isdecimal():
        raise internal(f'strconv.ParseUint: parsing "{version}": invalid syntax')
    if int(version) == 0:
        if served.custom:
            why = "Invalid value: 0: must be specified for an update"
            raise invalid(served.resource, name, [Cause("FieldValueInvalid", "metadata.resourceVersion", why)])
    elif version != before["resourceVersion"]:
        raise conflict(served.resource, name, MODIFIED)


def _check_preconditions(served: Served, name: str, before: Json, wanted: Mapping[str, Any]) -> None:
    uid, version = wanted.get("uid"), wanted.get("resourceVersion")
    if uid is not None and uid != before["uid"]:
        why = f"the UID in the precondition ({uid}) does not match the UID in record ({before['uid']})."
        raise conflict(served.called, name, f"{why} The object might have been deleted and then recreated")
    if version is not None and version != before["resourceVersion"]:
        known = before["resourceVersion"]
        why = f"the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record ({known})."
        raise conflict(served.called, name, f"{why} The object might have been modified")


def _finalizers_for(present: list[str], options: Mapping[str, Any]) -> list[str]:
    """The finalizers after a deletion with that propagation: one of the garbage collector's own, or none of them."""
    policy = options.get("propagationPolicy")
    if policy is None and options.get("orphanDependents") is not None:
        policy = "Orphan" if options["orphanDependents"] else "Background"
    if policy is None:
        return list(present)
    wanted = {"Orphan": ORPHAN, "Foreground": FOREGROUND}.get(policy)
    kept = [each for each in present if each not in (ORPHAN, FOREGROUND) or each == wanted]
    return [*kept, wanted] if wanted is not None and wanted not in kept else kept


def _without_metadata(doc: Json) -> Json:
    return {key: value for key, value in doc.items() if key != "metadata"}


def _timeless(doc: Json) -> Json:
    """The document but for when its owners last wrote."""
    bare = {key: value for key, value in doc["metadata"].items() if key != "managedFields"}
    owners = [{**each, "time": ""} for each in doc["metadata"].get("managedFields", ())]
    return {**doc, "metadata": bare, "managedFields": sorted(owners, key=str)}
