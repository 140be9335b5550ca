"""URLs of objects and selections."""

from __future__ import annotations

from urllib.parse import quote

from foreman.api.meta import Resource
from foreman.cluster import Selector


def path_of(cls: type[Resource], namespace: str | None = None, name: str = "") -> str:
    """The path of an object, or without `name` of the collection; of all namespaces when `namespace` is None."""
    root = f"/apis/{cls.GROUP}/{cls.VERSION}" if cls.GROUP else f"/api/{cls.VERSION}"
    inside = f"/namespaces/{quote(namespace, safe='')}" if namespace and cls.NAMESPACED else ""
    return f"{root}{inside}/{cls.PLURAL}" + (f"/{quote(name, safe='')}" if name else "")


def selector(labels: Selector | None, fields: Selector | None) -> dict[str, str]:
    """The query that selects by equality."""
    chosen = {"labelSelector": labels, "fieldSelector": fields}
    return {name: ",".join(f"{k}={v}" for k, v in given.items()) for name, given in chosen.items() if given}
