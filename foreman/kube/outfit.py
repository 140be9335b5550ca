"""What a native agent needs of its machine, looked at before it takes any work."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Mapping
from urllib.parse import urlsplit

from foreman.executors.git.errors import TOKEN
from foreman.executors.sandbox.environment import PATH
from foreman.executors.workshop import WorkshopSettings
from foreman.kube.process import Unusable

log = logging.getLogger("foreman")
CONNECT_SECONDS = 5
PORTS = {"http": 80, "https": 443}


async def look_over(shop: WorkshopSettings, base_url: str, environ: Mapping[str, str]) -> None:
    """A line for each thing that is missing. Raises Unusable for git; the rest may come later: an agent may start before its
    models do, and repositories may be open to all."""
    if shutil.which("git", path=environ.get("PATH") or PATH) is None:
        raise Unusable("--agent-mode native works with git, and there is none on the PATH: install it")
    if shop.remote.startswith("https://") and not environ.get(TOKEN):
        log.warning("no %s in the environment: repositories are read without one, and no branch can be pushed", TOKEN)
    if base_url and (why := await unreachable(base_url)):
        log.warning("no model endpoint at %s (%s): tasks that need it fail until there is one", base_url, why)


async def unreachable(base_url: str) -> str:
    """Why nothing listens there; '' when something does."""
    parts = urlsplit(base_url)
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(parts.hostname, parts.port or PORTS[parts.scheme])
    except TimeoutError:
        return f"no answer within {CONNECT_SECONDS}s"
    except OSError as error:
        return error.strerror or str(error)
    writer.close()
    return ""
