"""`foreman crds`: the CustomResourceDefinitions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from foreman.cli.refusal import refuse


def crds(
    directory: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="Write one file a kind instead of printing.")
    ] = None,
) -> None:
    """Print the CustomResourceDefinitions, generated from the API models.

    Install them with: foreman crds | kubectl apply -f -
    """
    from foreman.api.crd import CRD_KINDS, crd_file_name, crd_yaml

    if directory is None:
        typer.echo("---\n".join(crd_yaml(kind) for kind in CRD_KINDS), nl=False)
        return
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for kind in CRD_KINDS:
            (directory / crd_file_name(kind)).write_text(crd_yaml(kind), encoding="utf-8")
    except OSError as error:
        refuse(f"cannot write to {directory}: {error.strerror}")
