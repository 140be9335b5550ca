"""Lists: consistent, in pages, as of now or of an earlier version."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from foreman.api.meta import Resource
from sim.apiserver import ApiServer
from sim.http.decode import from_json
from sim.http.documents import Documents
from sim.http.request import number, refuse_options, version_of
from sim.http.selectors import Selection, selection
from sim.http.served import Served
from sim.http.status import Cause, bad_request, expired, too_new
from sim.selection import Stream

_TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without the "
    "continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing "
    "with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the "
    "time the first chunk was returned and now may show up in the list."
)
_TOKEN_VERSION = "meta.k8s.io/v1"


class Page(NamedTuple):
    """Part of a list: objects in order of their keys, the version it is of, and how to go on ('' at the end)."""

    items: Sequence[Resource]
    version: str
    token: str = ""
    remaining: int | None = None


class Lists:
    def __init__(self, server: ApiServer, docs: Documents) -> None:
        self.server = server
        self.docs = docs

    def page(self, served: Served, namespace: str, query: Mapping[str, str]) -> Page:
        """What the query asks for. Raises Refusal."""
        limit = max(number(query, "limit"), 0)
        number(query, "timeoutSeconds")
        wanted = selection(served, query)
        _check_versions(query)
        token = query.get("continue", "")
        after = ""
        if token:
            version, after = _read_token(token, namespace)
        else:
            version = self._version(query, limit)
            if query.get("resourceVersion") == "0":
                limit = 0
        if version > 0:
            self._require_history(version, after, namespace, bool(token))
        items = self.select(served, namespace, wanted, version)
        return _cut([each for each in items.items if each.key > after], items.version, limit, namespace, bool(wanted))

    def select(self, served: Served, namespace: str, wanted: Selection, version: int = 0) -> Page:
        """Everything selected, as of `version` (0: now)."""
        stream = Stream(served.kind, _nowhere, namespace or None, None, None)
        plain = wanted.plain()
        fields = plain[1] if plain and served.kind != "Event" and not version else None
        listing = self.server.list("", served.kind, namespace or None, None, fields)
        if version > 0:
            listing = self.server.listing_at(version, listing, stream)
        items: Iterable[Resource] = listing.items
        if wanted:
            items = (each for each in items if wanted.matches(self.docs.of(each)))
        return Page(tuple(items), listing.version)

    def _version(self, query: Mapping[str, str], limit: int) -> int:
        """The exact version asked for, 0 for the present."""
        asked = version_of(query.get("resourceVersion", ""), "invalid resource version: ")
        if asked > self.server.version:
            raise too_new(asked, self.server.version)
        match = query.get("resourceVersionMatch", "")
        exact = match == "Exact" or (not match and limit > 0 and asked > 0)
        return asked if exact else 0

    def _require_history(self, version: int, after: str, namespace: str, continuing: bool) -> None:
        if version >= self.server.compacted:
            return
        if not continuing:
            raise expired("The resourceVersion for the provided list is too old.")
        refusal = expired(_TOO_OLD)
        refusal.continue_token = _token(-1, after, namespace)
        raise refusal


def _cut(items: Sequence[Resource], version: str, limit: int, namespace: str, selecting: bool) -> Page:
    if not limit or len(items) <= limit:
        return Page(items, version)
    shown = items[:limit]
    token = _token(int(version), shown[-1].key, namespace)
    return Page(shown, version, token, None if selecting else len(items) - limit)


def _token(version: int, last: str, namespace: str) -> str:
    """Go on after the key `last`. The key in it is relative to what is listed, as in etcd."""
    start = "/" + last.removeprefix(f"{namespace}/" if namespace else "") + "\0"
    text = json.dumps({"v": _TOKEN_VERSION, "rv": version, "start": start}, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read_token(token: str, namespace: str) -> tuple[int, str]:
    """(version, or 0 for whatever is there now; the key to go on after). Raises Refusal."""
    try:
        data = from_json(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        version, start = int(data["rv"]), str(data["start"])
        known = data["v"] == _TOKEN_VERSION
    except (binascii.Error, ValueError, KeyError, TypeError) as error:
        raise bad_request(f"invalid continue token: continue key is not valid: {error}") from None
    if not known:
        raise bad_request(
            "invalid continue token: continue key is not valid: server does not recognize this encoded version"
        )
    key = start.removeprefix("/").removesuffix("\0")
    return max(version, 0), f"{namespace}/{key}" if namespace else key


def _check_versions(query: Mapping[str, str]) -> None:
    match, version = query.get("resourceVersionMatch", ""), query.get("resourceVersion", "")
    causes: list[Cause] = []
    if "sendInitialEvents" in query:
        why = "Forbidden: sendInitialEvents is forbidden for list"
        causes.append(Cause("FieldValueForbidden", "sendInitialEvents", why))
    if match and not version:
        why = "resourceVersionMatch is forbidden unless resourceVersion is provided"
        causes.append(_forbidden_match(why))
    if match and query.get("continue"):
        causes.append(_forbidden_match("resourceVersionMatch is forbidden when continue is provided"))
    if match not in ("", "Exact", "NotOlderThan"):
        why = f'Unsupported value: "{match}": supported values: "Exact", "NotOlderThan", ""'
        causes.append(Cause("FieldValueNotSupported", "resourceVersionMatch", why))
    if match == "Exact" and version == "0":
        causes.append(_forbidden_match('resourceVersionMatch "exact" is forbidden for resourceVersion "0"'))
    refuse_options("ListOptions", causes)


def _forbidden_match(why: str) -> Cause:
    return Cause("FieldValueForbidden", "resourceVersionMatch", f"Forbidden: {why}")


def _nowhere(event: Any) -> None:
    raise AssertionError("a list has no stream")


def check_watch(query: Mapping[str, str]) -> None:
    """Judge the options of a watch that only watches have. Raises Refusal."""
    match, causes = query.get("resourceVersionMatch", ""), []
    if "sendInitialEvents" in query and match != "NotOlderThan":
        causes.append(_forbidden_match("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"))
    elif match and "sendInitialEvents" not in query:
        why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        causes.append(_forbidden_match(why))
    if match not in ("", "NotOlderThan"):
        why = f'Unsupported value: "{match}": supported values: "NotOlderThan"'
        causes.append(Cause("FieldValueNotSupported", "resourceVersionMatch", why))
    refuse_options("ListOptions", causes)
