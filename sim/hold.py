"""Hold one call at the API server's door, to write a race as a story: hold it, let the others go on, release it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sim.cluster import Endpoint, Fate, Request


class Hold:
    """Catches requests by `verb`, `actor` (prefix), `kind`, `key` and, if given, `where(request)`; at most `limit` of them.

    What another intercept of the endpoint decides comes first, so holds nest.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        verb: str = "",
        actor: str = "",
        kind: str = "",
        key: str = "",
        where: Callable[[Request], bool] | None = None,
        limit: int | None = None,
        fate: Fate = "hold",
    ) -> None:
        """`fate`: 'hold' (until released), 'drop' (never arrives) or 'lose-reply' (applied, but nobody hears)."""
        self.endpoint = endpoint
        self.verb = verb
        self.actor = actor
        self.kind = kind
        self.key = key
        self.where = where
        self.limit = limit
        self.fate = fate
        self.held: list[Request] = []
        self.caught = 0
        self._open = True
        self._next = endpoint.intercept
        endpoint.intercept = self._intercept

    def _intercept(self, request: Request) -> Fate | None:
        fate = self._next(request) if self._next is not None else None
        if fate is not None or not self._open or not self._matches(request):
            return fate
        if self.limit is not None and self.caught >= self.limit:
            return None
        self.caught += 1
        if self.fate == "hold":
            self.held.append(request)
        return self.fate

    def _matches(self, request: Request) -> bool:
        target: Any = request.args[0]
        kind = target if isinstance(target, str) else target.kind
        key = getattr(target, "key", "")
        return (
            (not self.verb or request.verb == self.verb)
            and request.actor.startswith(self.actor)
            and (not self.kind or kind == self.kind)
            and (not self.key or key == self.key)
            and (self.where is None or self.where(request))
        )

    def release(self) -> None:
        """Let everything held arrive now, in the order it came, and catch nothing more."""
        self._open = False
        held, self.held = self.held, []
        for request in held:
            request.apply()

    def __enter__(self) -> Hold:
        return self

    def __exit__(self, *exc: object) -> None:
        self.release()
