"""How a command refuses what it was given."""

from __future__ import annotations

from typing import NoReturn

import typer


class BadInput(typer.TyperException):
    """What the user gave cannot be used."""

    exit_code = 2


def refuse(message: str) -> NoReturn:
    """End the command with this one line on stderr and exit code 2."""
    raise BadInput(message)
