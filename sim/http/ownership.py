"""Who owns which field: metadata.managedFields, and server-side apply.

A set of fields is a frozenset of paths; a step of a path is as in FieldsV1: 'f:name' for a field, 'k:{"type":"A"}' for the
item of a list that is a map, 'v:"x"' for the item of a list that is a set. A path stands for the field itself, not for what
is below.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sim.http.patches import same
from sim.http.status import Json, Refusal

Path = tuple[str, ...]
Fields = frozenset[Path]
_SERVER_OWNED = frozenset(
    {
        *(
            "name",
            "namespace",
            "uid",
            "resourceVersion",
            "generation",
            "creationTimestamp",
            "selfLink",
            "managedFields",
        ),
        *("deletionTimestamp", "deletionGracePeriodSeconds"),
    }
)
_SETS = {("f:metadata", "f:finalizers")}
_MAPS: dict[Path, tuple[str, ...]] = {("f:metadata", "f:ownerReferences"): ("uid",)}
_ATOMIC_ITEMS = {("f:metadata", "f:ownerReferences")}


class Owner(NamedTuple):
    """One entry of managedFields, but for its fields and time. `operation`: 'Apply' or 'Update'."""

    manager: str
    operation: str
    api_version: str
    subresource: str

    def told(self, time: str) -> str:
        """How a conflict names it."""
        who = json.dumps(self.manager)
        if self.subresource:
            who += f' with subresource "{self.subresource}"'
        return who if self.operation == "Apply" else f"{who} using {self.api_version}" + (f" at {time}" if time else "")


Owners = dict[Owner, tuple[Fields, str]]
"""Owner -> (its fields, time of its last change)."""


class Shape:
    """Which lists of a resource are maps or sets; every other list is one value."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.maps: dict[Path, tuple[str, ...]] = dict(_MAPS)
        self._find(schema, ())

    def _find(self, schema: Mapping[str, Any], path: Path) -> None:
        if keys := schema.get("x-kubernetes-list-map-keys"):
            self.maps[path] = tuple(keys)
        for name, inner in schema.get("properties", {}).items():
            self._find(inner, (*path, f"f:{name}"))

    def children(self, path: Path, value: Any) -> Iterator[tuple[str, Any]] | None:
        """(step, value) of what has owners of its own within `value`; None when it is one thing."""
        if isinstance(value, dict):
            return None if path[:-1] in _ATOMIC_ITEMS else ((f"f:{key}", each) for key, each in value.items())
        if isinstance(value, list):
            if path in _SETS:
                return ((f"v:{json.dumps(each)}", None) for each in value)
            if keys := self.maps.get(path):
                return ((_key_step(keys, each), each) for each in value if isinstance(each, dict))
        return None


def _key_step(keys: Sequence[str], item: Mapping[str, Any]) -> str:
    return "k:" + json.dumps({key: item.get(key) for key in sorted(keys)}, separators=(",", ":"))


def own_part(doc: Mapping[str, Any]) -> Json:
    """`doc` without what nobody but the server owns."""
    part = {key: value for key, value in doc.items() if key not in ("apiVersion", "kind", "metadata")}
    meta = {key: value for key, value in doc.get("metadata", {}).items() if key not in _SERVER_OWNED}
    return part | ({"metadata": meta} if meta else {})


def everything(shape: Shape, value: Any, path: Path = (), applied: bool = False) -> Iterator[Path]:
    """The paths of all there is in `value`; `applied`: maps and lists count only when empty, items of a list always."""
    children = shape.children(path, value)
    below = [] if children is None else list(children)
    if path and path != ("f:metadata",) and (not below or not applied or path[-1].startswith("k:")):
        yield path
    for step, each in below:
        yield from everything(shape, each, (*path, step), applied)


def changed(shape: Shape, old: Any, new: Any, path: Path = ()) -> Iterator[Path]:
    """The paths of what is new or different in `new`."""
    before, after = shape.children(path, old), shape.children(path, new)
    if before is None or after is None:
        if not same(old, new):
            yield from everything(shape, new, path)
        return
    known = dict(before)
    for step, each in after:
        if step not in known:
            yield from everything(shape, each, (*path, step))
        else:
            yield from changed(shape, known[step], each, (*path, step))


def owners_of(doc: Mapping[str, Any]) -> Owners:
    """What metadata.managedFields says."""
    owners: Owners = {}
    for entry in doc["metadata"].get("managedFields", ()):
        owner = Owner(entry["manager"], entry["operation"], entry["apiVersion"], entry.get("subresource", ""))
        owners[owner] = frozenset(_parsed(entry.get("fieldsV1", {}), ())), entry.get("time", "")
    return owners


def managed_fields(owners: Owners) -> list[Json]:
    """The same as metadata.managedFields, in the server's order."""
    order = sorted(owners, key=lambda each: (each.operation, owners[each][1], *each))
    return [_entry(owner, *owners[owner]) for owner in order if owners[owner][0]]


def _entry(owner: Owner, fields: Fields, time: str) -> Json:
    entry = {
        "apiVersion": owner.api_version,
        "fieldsType": "FieldsV1",
        "fieldsV1": _as_v1(fields),
        "manager": owner.manager,
        "operation": owner.operation,
        "time": time,
    }
    return entry | ({"subresource": owner.subresource} if owner.subresource else {})


def _as_v1(fields: Fields) -> Json:
    tree: Json = {}
    longer = {path[:end] for path in fields for end in range(1, len(path))}
    for path in sorted(fields):
        node = tree
        for step in path:
            node = node.setdefault(step, {})
        if path in longer:
            node["."] = {}
    return tree


def _parsed(tree: Mapping[str, Any], path: Path) -> Iterator[Path]:
    for step, below in tree.items():
        if step == ".":
            yield path
        elif not below:
            yield (*path, step)
        else:
            yield from _parsed(below, (*path, step))


def after_update(
    shape: Shape, old: Mapping[str, Any] | None, new: Mapping[str, Any], who: Owner, now: str
) -> list[Json]:
    """managedFields after `who` has made `new` of `old` (None: of nothing)."""
    before, after = own_part(old or {}), own_part(new)
    taken = frozenset(changed(shape, before, after))
    left = frozenset(everything(shape, after))
    owners = owners_of(old) if old is not None else {}
    owners = {owner: ((fields - taken) & left, time) for owner, (fields, time) in owners.items()}
    if taken:
        mine = owners.get(who, (frozenset(), ""))[0]
        owners[who] = (mine | taken) & left, now
    return managed_fields(owners)


def merged(shape: Shape, live: Any, wanted: Any, path: Path = ()) -> Any:
    """`live` with what somebody applies laid over it."""
    if isinstance(live, dict) and isinstance(wanted, dict) and path[:-1] not in _ATOMIC_ITEMS:
        both = {key: copy.deepcopy(value) for key, value in live.items()}
        for key, value in wanted.items():
            both[key] = merged(shape, live.get(key), value, (*path, f"f:{key}"))
        return both
    if isinstance(live, list) and isinstance(wanted, list) and (path in _SETS or path in shape.maps):
        return _merged_items(shape, live, wanted, path)
    return copy.deepcopy(wanted)


def _merged_items(shape: Shape, live: list[Any], wanted: list[Any], path: Path) -> list[Any]:
    if path in _SETS:
        return [*live, *(each for each in wanted if each not in live)]
    keys = shape.maps[path]
    items = {_key_step(keys, each): each for each in live}
    for each in wanted:
        step = _key_step(keys, each)
        items[step] = merged(shape, items[step], each, (*path, step)) if step in items else copy.deepcopy(each)
    return list(items.values())


def pruned(shape: Shape, value: Any, gone: Fields, path: Path = ()) -> Any:
    """`value` without the paths in `gone`."""
    if isinstance(value, dict):
        kept = {key: each for key, each in value.items() if (*path, f"f:{key}") not in gone}
        return {key: pruned(shape, each, gone, (*path, f"f:{key}")) for key, each in kept.items()}
    children = shape.children(path, value)
    if isinstance(value, list) and children is not None:
        items = [(step, item) for (step, _), item in zip(children, value, strict=True)]
        return [pruned(shape, item, gone, (*path, step)) for step, item in items if (*path, step) not in gone]
    return value


def apply(shape: Shape, live: Json | None, wanted: Json, who: Owner, force: bool, now: str) -> Json:
    """The document after `who` has applied `wanted`, managedFields included. Raises Refusal on a conflict."""
    before = live or {"metadata": {}}
    owners = owners_of(before)
    fields = frozenset(everything(shape, own_part(wanted), applied=True))
    laid_over = merged(shape, before, {**wanted, "metadata": own_part(wanted).get("metadata", {})})
    touched = frozenset(changed(shape, own_part(before), own_part(laid_over)))
    others = {owner: value for owner, value in owners.items() if owner != who}
    disputed = {owner: fields & touched & held for owner, (held, _) in others.items() if fields & touched & held}
    if disputed and not force:
        raise _conflict({owner: (paths, owners[owner][1]) for owner, paths in disputed.items()})
    others = {owner: (held - disputed.get(owner, frozenset()), time) for owner, (held, time) in others.items()}
    dropped = _with_parents(owners.get(who, (frozenset(), ""))[0]) - _with_parents(fields)
    dropped -= _with_parents(frozenset().union(*(held for held, _ in others.values())))
    result: Json = pruned(shape, laid_over, dropped)
    left = frozenset(everything(shape, own_part(result)))
    others = {owner: (held & left, time) for owner, (held, time) in others.items()}
    unchanged = same(own_part(before), own_part(result)) and owners.get(who, (None, ""))[0] == fields
    result["metadata"]["managedFields"] = managed_fields(
        {**others, who: (fields, owners[who][1] if unchanged else now)}
    )
    return result


def _with_parents(fields: Fields) -> Fields:
    return frozenset(path[:end] for path in fields for end in range(1, len(path) + 1))


def _conflict(disputed: Mapping[Owner, tuple[Fields, str]]) -> Refusal:
    causes, told = [], []
    for owner in sorted(disputed):
        paths, time = disputed[owner]
        who = owner.told(time)
        names = sorted(_as_text(path) for path in paths)
        causes += [
            {"reason": "FieldManagerConflict", "message": f"conflict with {who}", "field": name} for name in names
        ]
        listed = f": {names[0]}" if len(names) == 1 else ":" + "".join(f"\n- {name}" for name in names)
        told.append(f"conflict{'s' if len(names) > 1 else ''} with {who}{listed}")
    count = f"{len(causes)} conflict{'s' if len(causes) > 1 else ''}"
    return Refusal(409, "Conflict", f"Apply failed with {count}: " + "\n".join(told), {"causes": causes})


def _as_text(path: Path) -> str:
    """('f:spec', 'f:kind') -> '.spec.kind'."""
    text = ""
    for step in path:
        sort, _, rest = step.partition(":")
        if sort == "f":
            text += f".{rest}"
        elif sort == "k":
            text += "[" + ",".join(f"{key}={json.dumps(value)}" for key, value in json.loads(rest).items()) + "]"
        else:
            text += f"[={rest}]"
    return text


def manager_in(query: Mapping[str, str], user_agent: str) -> str:
    """The field manager of a request that names none is what its User-Agent begins with."""
    return query.get("fieldManager") or user_agent.partition("/")[0][:128] or "unknown"
