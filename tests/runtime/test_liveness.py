"""Silence is what this operator has not seen, by its own clock, while it could see."""

from __future__ import annotations

from typing import Any

import pytest
from lab import Lab
from support import new_node

from foreman.api import FleetNode
from foreman.cache import Cache
from foreman.liveness import Liveness


class Post:
    """An operator's view of the nodes, and a node that beats when told."""

    def __init__(self) -> None:
        self.lab = Lab()
        process = self.lab.process()
        self.node = self.lab.server.create("test", new_node("n1"))
        self.cache: Cache[FleetNode] = Cache(self.lab.client(process), process, "FleetNode")
        self.liveness = Liveness(process, self.cache)
        process.spawn(self.cache.run(), "cache")
        self.lab.advance(1)

    def write(self, **status: Any) -> None:
        self.lab.server.patch_status("test", self.node, status, None)
        self.lab.advance(0.1)

    def beat(self, at: int | None = None) -> None:
        """A heartbeat that carries the node's own idea of the time."""
        self.write(last_heartbeat_time=self.lab.process().wall() if at is None else at)


@pytest.fixture
def post() -> Post:
    return Post()


def test_a_node_is_fresh_from_when_it_was_first_seen_and_stale_after_the_timeout(post: Post) -> None:
    post.lab.advance(89)
    assert not post.liveness.stale("n1")
    post.lab.advance(2)
    assert post.liveness.stale("n1")


def test_each_change_of_the_heartbeat_starts_anew(post: Post) -> None:
    for _ in range(10):
        post.lab.advance(60)
        post.beat()
        assert post.liveness.silence("n1") < 1
    assert post.liveness.heard("n1")


def test_other_changes_are_no_heartbeat(post: Post) -> None:
    post.lab.advance(60)
    post.write(current_task="default/a")
    assert post.liveness.silence("n1") > 60
    assert not post.liveness.heard("n1")


@pytest.mark.parametrize("skew", [-86_400, -90, 0, 90, 86_400])
def test_the_nodes_clock_does_not_matter(post: Post, skew: int) -> None:
    for _ in range(4):
        post.lab.advance(30)
        post.beat(post.lab.process().wall() + skew)
        assert not post.liveness.stale("n1")
    post.lab.advance(91)
    assert post.liveness.stale("n1")


def test_the_operators_clock_does_not_matter(post: Post) -> None:
    post.lab.advance(30)
    post.beat()
    post.lab.hosts["client"].skew = 86_400 * 1_000_000
    post.lab.advance(60)
    assert not post.liveness.stale("n1")
    post.lab.advance(31)
    assert post.liveness.stale("n1")


def test_being_seen_for_the_first_time_is_no_proof_of_life(post: Post) -> None:
    assert not post.liveness.heard("n1")
    post.beat()
    assert post.liveness.heard("n1")


def test_a_name_that_is_asked_for_before_it_is_known_gets_its_grace_too(post: Post) -> None:
    assert post.liveness.silence("nobody") == 0
    post.lab.advance(50)
    assert post.liveness.silence("nobody") == 50


def test_coming_back_under_the_same_name_starts_anew(post: Post) -> None:
    post.lab.advance(80)
    post.lab.server.delete("test", post.node)
    post.lab.advance(5)
    post.lab.server.create("test", new_node("n1"))
    post.lab.advance(80)
    assert not post.liveness.stale("n1")
    assert not post.liveness.heard("n1")


def test_a_blind_operator_forgives_everybody(post: Post) -> None:
    post.beat()
    post.lab.endpoint.fail()
    post.lab.advance(300)
    post.lab.endpoint.recover()
    post.lab.advance(35)
    assert post.liveness.silence("n1") <= 35
    assert not post.liveness.heard("n1")
    post.lab.advance(91)
    assert post.liveness.stale("n1")


def test_a_heartbeat_that_came_during_the_blindness_counts_when_it_is_seen(post: Post) -> None:
    post.lab.endpoint.fail()
    post.lab.advance(300)
    post.beat()
    post.lab.endpoint.recover()
    post.lab.advance(35)
    assert post.liveness.heard("n1")
