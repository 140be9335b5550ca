"""/healthz, /readyz and /metrics, and where they are served."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Counter
from real_server import free_port

from foreman.kube.health import Address, AddressTaken, Check, Endpoints, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (":8081", Address("", 8081)),
        ("127.0.0.1:8081", Address("127.0.0.1", 8081)),
        ("localhost:1", Address("localhost", 1)),
        ("[::1]:8081", Address("::1", 8081)),
        ("0", None),
    ],
)
def test_addresses_are_gos(text, address):
    assert parse_address(text) == address
    assert address is None or parse_address(str(address)) == address


@pytest.mark.parametrize("text", ["", "8081", ":", ":x", ":70000", "::1:8081", "http://x:1", "[x]:1", ":-1"])
def test_what_is_no_address_is_refused_with_examples(text):
    with pytest.raises(ValueError, match=r"is no address to listen on: write :8081, 127\.0\.0\.1:8081"):
        parse_address(text)


def served(
    checks: Callable[[], list[Check]], ask: Callable[[Callable[[str], Any], int, int], Coroutine[Any, Any, None]]
) -> None:
    """`ask(get, health port, metrics port)` while all is served; `get(url)` gives (status, text)."""

    async def story() -> None:
        registry = CollectorRegistry()
        Counter("foreman_things_total", "Things", registry=registry).inc()
        health, metrics = Address("127.0.0.1", free_port()), Address("127.0.0.1", free_port())
        async with Endpoints(health, metrics, checks, registry), aiohttp.ClientSession() as session:

            async def get(url: str) -> tuple[int, str]:
                async with session.get(url) as answer:
                    return answer.status, await answer.text()

            await ask(get, health.port, metrics.port)

    asyncio.run(story())


def test_readiness_lists_every_check_and_is_200_only_when_all_hold():
    checks = [Check("synced", True, "5 objects"), Check("registered", False, "standing by for m/1")]

    async def ask(get, health, metrics):
        url = f"http://127.0.0.1:{health}/readyz"
        assert await get(url) == (503, "+ synced: 5 objects\n- registered: standing by for m/1\nnot ready\n")
        checks[1] = Check("registered", True)
        assert await get(url) == (200, "+ synced: 5 objects\n+ registered\nready\n")

    served(lambda: checks, ask)


def test_an_unready_process_lives():
    async def ask(get, health, metrics):
        assert await get(f"http://127.0.0.1:{health}/healthz") == (200, "ok\n")

    served(lambda: [Check("never", False)], ask)


def test_metrics_are_on_their_own_address():
    async def ask(get, health, metrics):
        status, text = await get(f"http://127.0.0.1:{metrics}/metrics")
        assert status == 200
        assert "foreman_things_total 1.0" in text
        assert (await get(f"http://127.0.0.1:{health}/metrics"))[0] == 404
        assert (await get(f"http://127.0.0.1:{metrics}/readyz"))[0] == 404

    served(list, ask)


def test_both_may_share_one_address():
    async def story() -> None:
        address = Address("127.0.0.1", free_port())
        async with Endpoints(address, address, list, CollectorRegistry()), aiohttp.ClientSession() as session:
            for path in ("healthz", "readyz", "metrics"):
                async with session.get(f"http://{address}/{path}") as answer:
                    assert answer.status == 200

    asyncio.run(story())


def test_an_address_in_use_is_said_in_one_line_and_nothing_is_left_open():
    async def story() -> None:
        health, metrics = Address("127.0.0.1", free_port()), Address("127.0.0.1", free_port())
        async with Endpoints(None, metrics, list, CollectorRegistry()):
            with pytest.raises(AddressTaken) as caught:
                async with Endpoints(health, metrics, list, CollectorRegistry()):
                    pass
            assert str(caught.value) == (
                f"cannot listen on {metrics}: address already in use: is it another agent or operator of this machine? "
                "Give this one another address, or 0 for none"
            )
            async with Endpoints(health, None, list, CollectorRegistry()):
                pass

    asyncio.run(story())
