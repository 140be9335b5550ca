"""The environment of what a model starts: made of nothing, never of the agent's own, which holds its secrets."""

from __future__ import annotations

import os
from collections.abc import Mapping

PASSED_ON = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ")
"""All that is taken from the agent's environment."""
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def scrubbed(scratch: str, given: Mapping[str, str], **more: str) -> dict[str, str]:
    """The environment of a process whose private folder is `scratch`, out of the agent's (`given`)."""
    kept = {name: given[name] for name in PASSED_ON if given.get(name)}
    made = {
        "HOME": os.path.join(scratch, "home"),
        "TMPDIR": os.path.join(scratch, "tmp"),
        "USER": "foreman",
        "SHELL": "/bin/bash",
        "TERM": "dumb",
        "CI": "true",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_AUTHOR_NAME": "Foreman",
        "GIT_AUTHOR_EMAIL": "foreman@localhost",
        "GIT_COMMITTER_NAME": "Foreman",
        "GIT_COMMITTER_EMAIL": "foreman@localhost",
        "GIT_CONFIG_NOSYSTEM": "1",
    }
    return {"PATH": PATH, "LANG": "C.UTF-8"} | kept | made | more
