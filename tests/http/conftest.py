from __future__ import annotations

from collections.abc import Iterator

import pytest
from http_kit import Site


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as made:
        yield made
