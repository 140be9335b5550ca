"""The fleet as placement sees it: nodes, what is taken of them, and for each requirement the open nodes in order.

Choosing costs O(log nodes), not a scan: each distinct requirement has a Pool, a lazily cleaned heap of its matching nodes that
are open now. A change to a node touches only the pools it belongs to. Occupancy is derived from tasks (`occupy`, `vacate`),
never from a counter somebody has to remember to decrement.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection
from heapq import heapify, heappop, heappush
from typing import Any, NamedTuple

from foreman.api import FleetNode
from foreman.decide.filters import Node, mismatches, obstacle
from foreman.decide.policies import RANKS, Rank
from foreman.decide.requirement import Requirement

Draw = Callable[[int], int]


class Hold(NamedTuple):
    """What one task takes of a node. `floor`: the tokens/s it was promised of `endpoint`."""

    node: str
    slots: int
    ram_gb: int
    endpoint: str = ""
    floor: int = 0


class Pool:
    """The nodes that match one requirement, and of these the open ones, best first."""

    def __init__(self, want: Requirement, rank: Rank, by_domain: bool) -> None:
        self.want = want
        self.rank = rank
        self.by_domain = by_domain
        self.open: dict[str, Any] = {}
        self._heaps: defaultdict[str, list[tuple[Any, str]]] = defaultdict(list)

    def refresh(self, node: Node) -> bool:
        """Bring the node's standing up to date; True if it has just opened."""
        name = node.name
        if obstacle(self.want, node) is not None:
            self.open.pop(name, None)
            return False
        domain = node.domain if self.by_domain else ""
        rank = (domain, self.rank(node, self.want)) if domain else self.rank(node, self.want)
        before = self.open.get(name)
        if before == rank:
            return False
        self.open[name] = rank
        heap = self._heaps[domain]
        heappush(heap, (rank, name))
        if len(heap) > 4 * len(self.open) + 64:
            self._compact(heap)
        return before is None

    def best(self, domain_load: dict[str, int], avoid: Collection[str]) -> str | None:
        if not self.open:
            return None
        if len(self._heaps) == 1:
            (heap,) = self._heaps.values()
            return self._top(heap, avoid)
        tops = [(domain_load.get(domain, 0), domain, heap) for domain, heap in self._heaps.items() if heap]
        if len(tops) > 1:
            tops.sort(key=lambda top: top[:2])
        for _, _, heap in tops:
            name = self._top(heap, avoid)
            if name is not None:
                return name
        return None

    def _top(self, heap: list[tuple[Any, str]], avoid: Collection[str]) -> str | None:
        if heap and not avoid and self.open.get(heap[0][1]) == heap[0][0]:
            return heap[0][1]
        aside = []
        found = None
        while heap and found is None:
            rank, name = heap[0]
            if self.open.get(name) != rank:
                heappop(heap)
            elif name in avoid:
                aside.append(heappop(heap))
            else:
                found = name
        for entry in aside:
            heappush(heap, entry)
        return found

    def _compact(self, heap: list[tuple[Any, str]]) -> None:
        live = {name: (rank, name) for rank, name in heap if self.open.get(name) == rank}
        heap[:] = live.values()
        heapify(heap)

    def leave(self, node: Node) -> None:
        self.open.pop(node.name, None)


class LotteryPool(Pool):
    """Open nodes of the `random` policy: every one equally likely."""

    def __init__(self, want: Requirement, draw: Draw) -> None:
        super().__init__(want, RANKS["random"], by_domain=False)
        self._draw = draw
        self._list: list[str] = []
        self._at: dict[str, int] = {}

    def refresh(self, node: Node) -> bool:
        if obstacle(self.want, node) is not None:
            self.leave(node)
            return False
        if node.name in self._at:
            return False
        self._at[node.name] = len(self._list)
        self._list.append(node.name)
        return True

    def leave(self, node: Node) -> None:
        at = self._at.pop(node.name, None)
        if at is not None:
            last = self._list.pop()
            if last != node.name:
                self._list[at] = last
                self._at[last] = at

    def best(self, domain_load: dict[str, int], avoid: Collection[str]) -> str | None:
        candidates = self._list
        if candidates and avoid:
            candidates = [name for name in candidates if name not in avoid]
        return candidates[self._draw(len(candidates))] if candidates else None


class Fleet:
    """All nodes and the tasks that occupy them.

    `draw(n)` gives a uniform integer below n (only `random` uses it); `on_open(requirement)` is called when a node that matches
    the requirement becomes able to take a task.
    """

    def __init__(self, policy: str, draw: Draw, on_open: Callable[[Requirement], None]) -> None:
        self.policy = policy
        self.draw = draw
        self.on_open = on_open
        self.nodes: dict[str, Node] = {}
        self.holds: dict[str, Hold] = {}
        self.pools: dict[Requirement, Pool] = {}
        self.domain_load: dict[str, int] = {}
        self._on: defaultdict[str, dict[str, Hold]] = defaultdict(dict)
        self._pools_of: dict[str, list[Pool]] = {}

    def node(self, name: str) -> Node:
        """The node of that name, known or not."""
        node = self.nodes.get(name)
        if node is None:
            node = self.nodes[name] = Node(name)
            self._pools_of[name] = []
        return node

    def tasks_on(self, name: str) -> list[str]:
        return list(self._on[name]) if name in self._on else []

    def learn(self, fleet_node: FleetNode, ready: bool) -> None:
        """Take in the node's present capability and whether it may be used."""
        node = self.node(fleet_node.metadata.name)
        for pool in self._pools_of[node.name]:
            pool.leave(node)
        self._shift_domain(node, -node.used)
        node.learn(fleet_node, ready)
        self._shift_domain(node, node.used)
        self._pools_of[node.name] = [pool for want, pool in self.pools.items() if not mismatches(want, node)]
        self._refresh(node)

    def forget(self, name: str) -> None:
        """The FleetNode is gone. Tasks that hold it keep holding it until they are released."""
        node = self.node(name)
        for pool in self._pools_of[name]:
            pool.leave(node)
        self._pools_of[name] = []
        self._shift_domain(node, -node.used)
        node.forget()
        self._shift_domain(node, node.used)
        self._discard_unknown(node)

    def occupy(self, task: str, name: str, want: Requirement) -> None:
        """`task` takes a slot and RAM of node `name`, instead of whatever it held before."""
        held = self.holds.get(task)
        if held is not None:
            if held.node == name:
                return
            self.vacate(task)
        hold = Hold(name, int(want.slot), want.min_ram_gb, want.endpoint, want.min_tokens_per_second)
        self.holds[task] = self._on[name][task] = hold
        self._take(self.node(name), hold, 1)

    def vacate(self, task: str) -> None:
        """`task` holds nothing any more."""
        hold = self.holds.pop(task, None)
        if hold is not None:
            node = self.node(hold.node)
            del self._on[hold.node][task]
            self._take(node, hold, -1)
            self._discard_unknown(node)

    def choose(self, want: Requirement, avoid: Collection[str] = ()) -> str | None:
        """The best open node for `want`; one in `avoid` only if there is no other."""
        pool = self.pool(want)
        load = self.domain_load
        name = pool.best(load, avoid)
        return pool.best(load, ()) if name is None and avoid else name

    def pool(self, want: Requirement) -> Pool:
        pool = self.pools.get(want)
        if pool is None:
            pool = self.pools[want] = self._new_pool(want)
            for name, node in self.nodes.items():
                if not mismatches(want, node):
                    self._pools_of[name].append(pool)
                    pool.refresh(node)
        return pool

    def _new_pool(self, want: Requirement) -> Pool:
        if self.policy == "random":
            return LotteryPool(want, self.draw)
        return Pool(want, RANKS[self.policy], by_domain=self.policy == "spread")

    def _discard_unknown(self, node: Node) -> None:
        """A node that is neither known nor held would only be counted among those that do not fit."""
        if not node.slots and not self._on.get(node.name):
            self._on.pop(node.name, None)
            del self.nodes[node.name], self._pools_of[node.name]

    def _take(self, node: Node, hold: Hold, times: int) -> None:
        node.used += hold.slots * times
        node.taken_ram_gb += hold.ram_gb * times
        if hold.endpoint:
            node.serve(hold.endpoint, hold.floor, times)
        self._shift_domain(node, hold.slots * times)
        self._refresh(node)

    def _refresh(self, node: Node) -> None:
        for pool in self._pools_of[node.name]:
            if pool.refresh(node):
                self.on_open(pool.want)

    def _shift_domain(self, node: Node, by: int) -> None:
        if by:
            self.domain_load[node.domain] = self.domain_load.get(node.domain, 0) + by
