"""What is not installed for everybody."""

from __future__ import annotations


class Missing(ValueError):
    """Packages of an extra that `what` needs and that are not there; says how to mend it, and what else will do."""

    def __init__(self, what: str, extra: str, *packages: str, otherwise: str = "") -> None:
        told = f"{what} needs {', '.join(packages)}: pip install 'llmkube-foreman[{extra}]'"
        super().__init__(f"{told} ({otherwise})" if otherwise else told)
