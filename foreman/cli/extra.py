"""Packages that not everybody needs: what is missing is said before anything runs."""

from __future__ import annotations

from importlib.util import find_spec

from foreman.cli.refusal import refuse


def needs(extra: str, *packages: str) -> None:
    """Refuse, with the command that mends it, if one of the packages of an extra is not installed."""
    missing = [each for each in packages if find_spec(each) is None]
    if missing:
        from sim.extras import Missing

        refuse(str(Missing("this", extra, *missing)))
