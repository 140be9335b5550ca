"""GateProfile: how to format, lint, build and test a repository. Part of tasks and workloads, no kind of its own."""

from __future__ import annotations

from .meta import Model, Word


class GateLanguage(Word):
    GO = "go"
    PYTHON = "python"
    RUST = "rust"
    NODE = "node"
    GENERIC = "generic"


class TestLayout(Model):
    __test__ = False  # pytest takes the name for a test class

    test_root: str = ""
    source_root: str = ""


class GateCommands(Model):
    format: str = ""
    lint: str = ""
    build: str = ""
    test: str = ""
    codegen_check: str = ""


class GateProfile(Model):
    """A preset named by `language` (none = go), overlaid with whatever is not empty here."""

    language: GateLanguage | None = None
    image: str = ""
    source_extensions: tuple[str, ...] = ()
    test_layout: TestLayout | None = None
    commands: GateCommands | None = None
