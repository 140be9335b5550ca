"""From a request to its answer: every path but watches."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, NamedTuple

from sim.apiserver import ApiServer
from sim.http import discovery, openapi, patches
from sim.http.decode import Malformed, from_json, from_yaml
from sim.http.documents import Documents, encode
from sim.http.lists import Lists
from sim.http.ownership import apply
from sim.http.reading import any_document, applied_document, body_document, patched_document
from sim.http.request import Request, Target, check_delete, check_options, number, version_of
from sim.http.served import Served, dig
from sim.http.status import (
    Json,
    Refusal,
    bad_request,
    internal,
    method_not_allowed,
    not_found,
    not_supported,
    too_new,
    unsupported_media,
)
from sim.http.views import Form, Tables, form_of, listing, partial
from sim.http.virtual import Virtual, Virtuals, virtual_at
from sim.http.watches import WATCH_SECONDS, bookmark
from sim.http.writes import APPLY, Admit, Writes, shape_of

_PATCHES = "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
_STRATEGIC = "application/strategic-merge-patch+json"


class Answer(NamedTuple):
    """`body` is data to be rendered in `form`, or text that goes out as it is."""

    code: int
    body: Any
    form: Form = Form()
    content_type: str = ""


NO_PAGE = Answer(404, "404 page not found\n", content_type="text/plain; charset=utf-8")


class Handlers:
    """Answers requests. `address`: host:port, as discovery tells it."""

    def __init__(self, server: ApiServer, admit: Admit | None = None, address: str = "") -> None:
        self.server = server
        self.docs = Documents(server)
        self.lists = Lists(server, self.docs)
        self.writes = Writes(server, self.docs, admit)
        self.virtuals = Virtuals(server)
        self.address = address

    def answer(self, request: Request) -> Answer:
        """Raises Refusal."""
        target = request.target
        if target is None:
            return self._elsewhere(request)
        virtual = virtual_at(target.group, target.version, target.resource)
        if virtual is not None and not target.namespace:
            return self._virtual(request, target, virtual)
        served = target.served
        if served is None:
            return NO_PAGE
        return self._resource(request, target, served)

    # resources

    def _resource(self, request: Request, target: Target, served: Served) -> Answer:
        verb = request.verb
        if verb not in _VERBS:
            raise not_supported(served.resource, "")
        if target.subresource and not (target.subresource == "status" and served.has_status and served.custom):
            raise not_found(served.resource, target.name)
        if served.namespaced and not target.namespace and verb in ("create", "deletecollection"):
            return NO_PAGE
        if verb in ("update", "patch") and not target.name:
            raise bad_request("name must be provided")
        return _VERBS[verb](self, request, target, served)

    def tables(self, request: Request) -> Tables:
        return Tables(self.server.wall(), request.query.get("includeObject", ""))

    def _object(self, request: Request, served: Served, doc: Json, code: int = 200) -> Answer:
        form = form_of(request.headers.get("Accept", ""))
        if form.shape == "Table":
            metadata = {"resourceVersion": doc["metadata"].get("resourceVersion", "")}
            return Answer(code, self.tables(request).of(served, [doc], metadata), form)
        return Answer(code, partial(doc) if form.shape else doc, form)

    def _get(self, request: Request, target: Target, served: Served) -> Answer:
        form_of(request.headers.get("Accept", ""))
        asked = version_of(request.query.get("resourceVersion", ""))
        if asked > self.server.version:
            raise too_new(asked, self.server.version)
        obj = self.writes.current(served, target.namespace, target.name)
        return self._object(request, served, self.docs.of(obj))

    def _list(self, request: Request, target: Target, served: Served) -> Answer:
        form = form_of(request.headers.get("Accept", ""))
        page = self.lists.page(served, target.namespace, request.query)
        metadata: Json = {"resourceVersion": page.version}
        if page.token:
            metadata["continue"] = page.token
        if page.remaining is not None:
            metadata["remainingItemCount"] = page.remaining
        docs = [self.docs.of(obj) for obj in page.items]
        return Answer(200, listing(served, docs, metadata, form, self.tables(request)), form)

    def _create(self, request: Request, target: Target, served: Served) -> Answer:
        check_options(request, "CreateOptions")
        form_of(request.headers.get("Accept", ""))
        doc = body_document(request, served)
        return self._object(request, served, self.writes.create(request, served, target.namespace, doc), 201)

    def _update(self, request: Request, target: Target, served: Served) -> Answer:
        check_options(request, "UpdateOptions")
        doc = body_document(request, served)
        made = self.writes.update(request, served, target.namespace, target.name, lambda old: doc)
        return self._object(request, served, made)

    def _patch(self, request: Request, target: Target, served: Served) -> Answer:
        media = request.media_type
        patch = _PATCH_BY_MEDIA.get(media)
        if media == _STRATEGIC and not served.custom:
            patch = patches.merge_patch
        if media == APPLY:
            check_options(request, "PatchOptions")
            return self._apply(request, target, served)
        if patch is None:
            accepted = _PATCHES if served.custom else f"{_PATCHES}, {_STRATEGIC}"
            raise unsupported_media(accepted)
        check_options(request, "PatchOptions")
        self.writes.current(served, target.namespace, target.name)

        def change(old: Json) -> Json:
            return patched_document(request, served, patch(old, request.body))

        made = self.writes.update(request, served, target.namespace, target.name, change)
        return self._object(request, served, made)

    def _apply(self, request: Request, target: Target, served: Served) -> Answer:
        """Server-side apply: what is not there yet is created."""
        wanted = applied_document(request, served)
        part = {key: value for key, value in wanted.items() if not served.custom or self._may_apply(target, key)}
        owner = self.writes.owner(request, served, "Apply")
        force = request.query.get("force", "") not in ("", "false", "0")
        now, shape = self.writes.now(), shape_of(served)

        def change(old: Json) -> Json:
            made = patched_document(request, served, apply(shape, old, part, owner, force, now))
            return self._with_versions(made, old, wanted)

        if served.key(target.namespace, target.name) in self.server.tables[served.kind]:
            return self._object(
                request, served, self.writes.update(request, served, target.namespace, target.name, change)
            )
        if target.subresource:
            raise not_found(served.resource, target.name)
        made = patched_document(request, served, apply(shape, None, part, owner, force, now))
        made["metadata"].setdefault("name", target.name)
        return self._object(request, served, self.writes.create(request, served, target.namespace, made), 201)

    def _may_apply(self, target: Target, key: str) -> bool:
        if target.subresource == "status":
            return key in ("apiVersion", "kind", "status")
        return key != "status"

    def _with_versions(self, made: Json, old: Json, wanted: Json) -> Json:
        """An applied document keeps what identifies the object, unless it named something else."""
        given = wanted.get("metadata", {})
        for field in ("name", "namespace", "uid", "resourceVersion"):
            if field in given or field in old["metadata"]:
                made["metadata"][field] = given.get(field, old["metadata"].get(field))
        return made

    def _delete(self, request: Request, target: Target, served: Served) -> Answer:
        options = _delete_options(request)
        return self._deleted(request, served, target.namespace, target.name, options)

    def _deleted(self, request: Request, served: Served, namespace: str, name: str, options: Json) -> Answer:
        made = self.writes.delete(request, served, namespace, name, options)
        return Answer(200, made) if made["kind"] == "Status" else self._object(request, served, made)

    def _delete_all(self, request: Request, target: Target, served: Served) -> Answer:
        options = _delete_options(request)
        page = self.lists.page(served, target.namespace, request.query)
        docs = [self.docs.of(obj) for obj in page.items]
        for doc in docs:
            meta = doc["metadata"]
            self.writes.delete(request, served, meta.get("namespace", ""), meta["name"], options)
        form = form_of(request.headers.get("Accept", ""))
        metadata = {"resourceVersion": page.version}
        return Answer(200, listing(served, docs, metadata, form, self.tables(request)), form)

    # what is not stored

    def _virtual(self, request: Request, target: Target, virtual: Virtual) -> Answer:
        name, verb = target.name, request.verb
        if verb in ("list", "get"):
            docs = [self.virtuals.get(virtual, name)] if name else self.virtuals.select(virtual, request.query)
        else:
            given = any_document(request) if request.body and not name else {}
            docs = [self.virtuals.write(virtual, verb, name or str(dig(given, "metadata", "name") or ""))]
        form = form_of(request.headers.get("Accept", ""))
        metadata = {"resourceVersion": str(self.server.version)}
        served: Any = virtual
        if form.shape == "Table":
            return Answer(200, self.tables(request).of(served, docs, metadata), form)
        if name or verb == "create":
            return Answer(201 if verb == "create" else 200, partial(docs[0]) if form.shape else docs[0], form)
        return Answer(200, listing(served, docs, metadata, form, self.tables(request)), form)

    def still(self, request: Request) -> AsyncIterator[bytes] | None:
        """A watch of what never changes: what there is, then silence. None for any other watch. Raises Refusal."""
        target = request.target
        virtual = virtual_at(target.group, target.version, target.resource) if target is not None else None
        if virtual is None:
            return None
        docs = self.virtuals.select(virtual, request.query)
        initial = "sendInitialEvents" in request.query
        begun = request.query.get("resourceVersion", "0") not in ("", "0") and not initial
        events = [("ADDED", doc) for doc in docs if not begun]
        if initial:
            events.append(("BOOKMARK", bookmark(virtual.api_version, virtual.kind, str(self.server.version), True)))
        return _still(events, number(request.query, "timeoutSeconds", WATCH_SECONDS))

    def _elsewhere(self, request: Request) -> Answer:
        path = "/" + request.path.strip("/")
        accept = request.headers.get("Accept", "")
        found = _PAGES.get(path)
        body = found(self) if found is not None else _below(path)
        if path in ("/healthz", "/livez", "/readyz"):
            return Answer(200, "ok", content_type="text/plain; charset=utf-8")
        if body is None:
            return NO_PAGE
        if request.method not in ("GET", "HEAD"):
            raise method_not_allowed()
        if path in ("/api", "/apis") and discovery.wants_aggregated(accept):
            return Answer(200, discovery.aggregated(path == "/api"), content_type=discovery.AGGREGATED)
        if path == "/openapi/v2" and "json" not in accept and accept not in ("", "*/*"):
            raise Refusal(406, "NotAcceptable", "only the following media types are accepted: application/json", {})
        return Answer(200, body)


async def _still(events: Sequence[tuple[str, Json]], seconds: float) -> AsyncIterator[bytes]:
    for sort, doc in events:
        yield encode({"type": sort, "object": doc}) + b"\n"
    await asyncio.sleep(seconds)


def _below(path: str) -> Any:
    parts = path.strip("/").split("/")
    match parts:
        case ["api", version]:
            return discovery.resource_list("", version)
        case ["apis", group]:
            return discovery.group(group)
        case ["apis", group, version]:
            return discovery.resource_list(group, version)
        case ["openapi", "v3", "api", version]:
            return openapi.document("", version)
        case ["openapi", "v3", "apis", group, version]:
            return openapi.document(group, version)
    return None


_PAGES: Mapping[str, Callable[[Handlers], Any]] = {
    "/": lambda handlers: discovery.root(),
    "/version": lambda handlers: discovery.VERSION,
    "/api": lambda handlers: discovery.api_versions(handlers.address),
    "/apis": lambda handlers: discovery.group_list(handlers.address),
    "/openapi/v3": lambda handlers: openapi.index(),
    "/openapi/v2": lambda handlers: openapi.swagger(),
}
_PATCH_BY_MEDIA: Mapping[str, Callable[[Json, bytes], Json]] = {
    "application/merge-patch+json": patches.merge_patch,
    "application/json-patch+json": patches.json_patch,
}
_VERBS: Mapping[str, Callable[[Handlers, Request, Target, Served], Answer]] = {
    "get": Handlers._get,
    "list": Handlers._list,
    "create": Handlers._create,
    "update": Handlers._update,
    "patch": Handlers._patch,
    "delete": Handlers._delete,
    "deletecollection": Handlers._delete_all,
}


def _delete_options(request: Request) -> Json:
    """The options in the body, or else those in the query. Raises Refusal."""
    options: Any = {}
    if request.body.strip():
        try:
            decode = from_yaml if request.media_type == "application/yaml" else from_json
            options = decode(request.body)
        except Malformed as error:
            raise bad_request(f"couldn't get version/kind; json parse error: {error}") from None
        if not isinstance(options, dict):
            raise bad_request("couldn't get version/kind; json parse error: json: cannot unmarshal")
        kind = options.get("kind", "DeleteOptions")
        if kind != "DeleteOptions":
            where = 'in scheme "pkg/apis/meta/internalversion/scheme/register.go:27"'
            raise bad_request(f'no kind "{kind}" is registered for version "{options.get("apiVersion", "")}" {where}')
    else:
        query = request.query
        options = {key: query[key] for key in ("propagationPolicy",) if key in query}
        if "orphanDependents" in query:
            options["orphanDependents"] = query["orphanDependents"] == "true"
    if request.query.get("dryRun"):
        options["dryRun"] = [request.query["dryRun"]]
    check_delete(options)
    return dict(options)


def unhandled(error: Exception) -> Refusal:
    """An error of this server's own."""
    return internal(f"{type(error).__name__}: {error}")
