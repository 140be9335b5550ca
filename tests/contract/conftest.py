"""The arm a contract test runs on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from arms import ARMS


@pytest.fixture(params=ARMS, ids=lambda arm: arm.__name__)
def arm(request: pytest.FixtureRequest) -> Iterator[Any]:
    with request.param(request) as made:
        yield made
