"""A kubeconfig for a served API server."""

from __future__ import annotations

import os
from pathlib import Path

import yaml


def write_kubeconfig(path: Path, server: str, name: str = "foreman", token: str = "") -> Path:
    """Write it, readable by its owner only; the folder is made. Raises OSError."""
    user = {"token": token} if token else {}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": server}}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": "default"}}],
        "current-context": name,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    new.touch(mode=0o600)
    new.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    os.replace(new, path)
    return path
