"""The rules of the source itself: who may import what, how long things are, which words and names stay out.

Each rule is a pure function over source text that returns what it objects to, so each has a negative control here: a
tiny source it must flag. A rule that has never objected is not a rule.
"""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from statistics import mean, median
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent

EFFECTS = frozenset({"asyncio", "kubernetes", "openai", "subprocess", "threading", "time"})
NEVER = frozenset({"random", "secrets", "simpy", "uuid"})
COMPOSITION_ROOT = "foreman/cli/"
# The only executors that talk to a model endpoint or a subprocess; every other one runs in the simulator too.
EFFECTFUL_EXECUTORS: tuple[str, ...] = (
    "foreman/executors/bench.py",
    "foreman/executors/endpoint/client.py",
    "foreman/executors/endpoint/leash.py",
    "foreman/executors/gate/local.py",
    "foreman/executors/hosts/github.py",
    "foreman/executors/sandbox/command.py",
    "foreman/executors/sandbox/find.py",
    "foreman/executors/sandbox/launch.py",
    "foreman/executors/tools/mcp.py",
)
ENTRY_POINTS = (
    "foreman/cli/__init__.py",
    "foreman/executors/bench.py",
    "foreman/kube/bench.py",
    "sim/bench.py",
    "sim/soak.py",
    "sim/sweep/table.py",
    "sim/testing.py",
)

FUNCTION_LINES_MAX = 60
FUNCTION_LINES_MEDIAN = 10
FILE_LINES_MAX = 400
FILE_LINES_MEAN = 250
PAGE_LINES_MAX = 250
PAGE_LINE_LENGTH = 140

# In two pieces each, so that this file keeps its own rule.
BANNED_WORDS = ("TO" + "DO", "FIX" + "ME", "X" + "XX")
BANNED_IN_CLASS_NAMES = ("Manager", "Helper", "Utils", "Base", "Service")

PACKAGES = {"foreman", "sim", "tests"}
DATA = {"scenarios", "crds", "deploy", "notebooks"}
FILES = {"README.md", "LICENSE", "Makefile", "pyproject.toml"}
TOP_LEVEL = PACKAGES | DATA | FILES


# Reading sources


class Import(NamedTuple):
    """One absolute import: `module` as written after `import` or `from`, `names` what `from` takes out of it."""

    module: str
    names: tuple[str, ...]
    lazy: bool
    line: int


def _absolute(node: ast.ImportFrom, path: str) -> str:
    if not node.level:
        return node.module or ""
    package = path.split("/")[: -node.level]
    return ".".join([*package, *([node.module] if node.module else [])])


def _for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def imports(path: str, source: str) -> Iterator[Import]:
    """Every import of the file at `path` (relative to the root), inside functions and under TYPE_CHECKING as well."""
    todo: list[tuple[ast.AST, bool]] = [(ast.parse(source), False)]
    while todo:
        node, lazy = todo.pop()
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, (), lazy, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield Import(_absolute(node, path), tuple(a.name for a in node.names), lazy, node.lineno)
        lazy = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or _for_types_only(node)
        todo += [(child, lazy) for child in ast.iter_child_nodes(node)]


def function_lengths(source: str) -> dict[str, int]:
    """'line:name' -> lines from `def` to the end of the body, docstring included."""
    functions = (n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    return {f"{n.lineno}:{n.name}": (n.end_lineno or n.lineno) - n.lineno + 1 for n in functions}


def module_name(path: str) -> str:
    """'foreman/api/meta.py' -> 'foreman.api.meta', 'sim/__init__.py' -> 'sim'."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


# The rules


def may_have_effects(path: str) -> bool:
    return path.startswith((COMPOSITION_ROOT, "foreman/kube/")) or path in EFFECTFUL_EXECUTORS


def import_faults(path: str, source: str) -> list[str]:
    """Imports that break the layers. Files outside `foreman/` may import anything."""
    if not path.startswith("foreman/"):
        return []
    faults = []
    for each in imports(path, source):
        top = each.module.partition(".")[0]
        lazily_composed = path.startswith(COMPOSITION_ROOT) and each.lazy
        if top in NEVER or (top in EFFECTS and not may_have_effects(path)) or (top == "sim" and not lazily_composed):
            faults.append(f"{path}:{each.line} imports {each.module}")
    return faults


def long_functions(path: str, source: str) -> list[str]:
    lengths = function_lengths(source)
    return [f"{path}:{name} has {n} lines" for name, n in lengths.items() if n > FUNCTION_LINES_MAX]


def banned_words(path: str, source: str) -> list[str]:
    word = re.compile(rf"\b({'|'.join(BANNED_WORDS)})\b")
    return [f"{path}:{i} says {m[0]}" for i, line in enumerate(source.splitlines(), 1) if (m := word.search(line))]


def vague_class_names(path: str, source: str) -> list[str]:
    classes = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef))
    return [f"{path}:{c.lineno} {c.name}" for c in classes if any(word in c.name for word in BANNED_IN_CLASS_NAMES)]


def unmentioned(scenarios: list[str], readme: str) -> list[str]:
    """Scenario names (file stems) that do not occur as a whole word in the README."""
    return [name for name in scenarios if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", readme)]


def strangers(entries: set[str]) -> list[str]:
    """Top-level entries outside the fixed set; dotfiles are free."""
    return sorted(entry for entry in entries if not entry.startswith(".") and entry not in TOP_LEVEL)


def dead_files(sources: dict[str, str], entry_points: tuple[str, ...]) -> list[str]:
    """Modules that no chain of imports reaches from an entry point or a `__main__`. Packages' `__init__` are exempt."""
    paths = {module_name(path): path for path in sources}
    todo = [p for p in sources if p in entry_points or p.endswith("/__main__.py")]
    reached = set(todo)
    while todo:
        path = todo.pop()
        for each in imports(path, sources[path]):
            parts = each.module.split(".")
            names = [".".join(parts[: i + 1]) for i in range(len(parts))] + [f"{each.module}.{n}" for n in each.names]
            fresh = {paths[name] for name in names if name in paths} - reached
            reached |= fresh
            todo += fresh
    return sorted(p for p in sources if p not in reached and not p.endswith("__init__.py"))


# The rules, on this repository


def read(folder: str, suffixes: tuple[str, ...] = (".py",)) -> dict[str, str]:
    """Path relative to the root -> text; empty when the folder does not exist."""
    found = (p for p in sorted((ROOT / folder).rglob("*")) if p.suffix in suffixes and p.is_file())
    return {p.relative_to(ROOT).as_posix(): p.read_text(encoding="utf-8") for p in found}


PRODUCT = read("foreman") | read("sim")
PAGE = read("sim/report/page", (".js", ".css", ".html"))
EVERYTHING = PRODUCT | PAGE | read("tests") | read("scenarios", (".yaml", ".yml"))


@pytest.mark.parametrize("rule", [import_faults, long_functions, vague_class_names])
def test_product_keeps(rule):
    assert [fault for path, source in PRODUCT.items() for fault in rule(path, source)] == []


def test_no_banned_words():
    assert [fault for path, source in EVERYTHING.items() for fault in banned_words(path, source)] == []


def test_functions_are_short_at_the_median():
    lengths = [n for source in PRODUCT.values() for n in function_lengths(source).values()]
    assert median(lengths or [0]) <= FUNCTION_LINES_MEDIAN


def test_files_are_short():
    lines = {path: source.count("\n") for path, source in PRODUCT.items()}
    assert [f"{path} has {n} lines" for path, n in lines.items() if n > FILE_LINES_MAX] == []
    assert mean(lines.values()) < FILE_LINES_MEAN


def long_files(sources: dict[str, str], lines: int, length: int) -> list[str]:
    """Files with more lines, or with longer ones."""
    counts = {path: source.count("\n") for path, source in sources.items()}
    wide = [
        f"{path}:{i}"
        for path, text in sources.items()
        for i, each in enumerate(text.splitlines(), 1)
        if len(each) > length
    ]
    return [f"{path} has {n} lines" for path, n in counts.items() if n > lines] + [
        f"{place} is too long" for place in wide
    ]


def test_scripts_and_styles_of_the_report_are_short():
    assert PAGE
    assert long_files(PAGE, PAGE_LINES_MAX, PAGE_LINE_LENGTH) == []


def test_every_scenario_is_in_the_readme():
    names = [Path(path).stem for path in EVERYTHING if path.startswith("scenarios/")]
    readme = ROOT / "README.md"
    assert unmentioned(names, readme.read_text(encoding="utf-8") if readme.exists() else "") == []


def test_top_level_is_the_fixed_set():
    try:
        tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout: what belongs to the repository cannot be told from what lies in it")
    assert strangers({path.partition("/")[0] for path in tracked.split("\0") if path}) == []


def test_every_module_is_reached():
    assert dead_files(PRODUCT, ENTRY_POINTS) == []


def test_both_lists_of_development_tools_agree():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["optional-dependencies"]["dev"] == project["dependency-groups"]["dev"]


# Negative controls: each rule objects when it must, and only then


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("foreman/scheduler.py", "import asyncio"),
        ("foreman/scheduler.py", "import os, time"),
        ("foreman/cache.py", "from threading import Lock"),
        ("foreman/cluster.py", "import kubernetes.aio.client"),
        ("foreman/decide/filters.py", "def f():\n    import time"),
        ("foreman/decide/filters.py", "if TYPE_CHECKING:\n    import asyncio"),
        ("foreman/executors/stub.py", "import openai"),
        ("foreman/executors/stub.py", "from subprocess import run"),
        ("foreman/kube/cluster.py", "import random"),
        ("foreman/kube/cluster.py", "from uuid import uuid4"),
        ("foreman/cli/sim.py", "import simpy"),
        ("foreman/cli/sim.py", "import secrets"),
        ("foreman/cli/sim.py", "import sim.world"),
        ("foreman/cli/sim.py", "class C:\n    from sim import world"),
        ("foreman/kube/cluster.py", "def f():\n    from sim.world import World"),
        ("foreman/scheduler.py", "def f():\n    import sim"),
    ],
)
def test_import_rule_objects(path, source):
    assert len(import_faults(path, source)) == 1


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("foreman/kube/runtime.py", "import asyncio, time, threading\nfrom kubernetes import aio"),
        ("foreman/cli/sim.py", "import asyncio\nasync def f():\n    from sim.world import World"),
        ("foreman/scheduler.py", "from . import cache, runtime\nfrom .decide import time\nimport timeit"),
        ("sim/world.py", "import simpy, random\nfrom foreman import scheduler"),
    ],
)
def test_import_rule_accepts(path, source):
    assert import_faults(path, source) == []


def test_long_file_rule_objects():
    assert long_files({"a.js": "x\n" * 3, "b.js": "xxxx\n"}, 2, 3) == ["a.js has 3 lines", "b.js:1 is too long"]
    assert long_files({"a.js": "xxx\n" * 2}, 2, 3) == []


def test_relative_imports_are_resolved():
    source = "from . import a\nfrom ..api.meta import b\nfrom .. import c"
    modules = {each.module for each in imports("foreman/decide/filters.py", source)}
    assert modules == {"foreman.decide", "foreman.api.meta", "foreman"}


def test_length_rules_object():
    body = "    pass\n"
    assert long_functions("x.py", "async def f():\n" + body * FUNCTION_LINES_MAX) == ["x.py:1:f has 61 lines"]
    assert long_functions("x.py", "def f():\n" + body * (FUNCTION_LINES_MAX - 1)) == []
    assert function_lengths("class C:\n    def f(self): ...\n\ndef g():\n    def h(): ...\n") == {
        "2:f": 1,
        "4:g": 2,
        "5:h": 1,
    }


@pytest.mark.parametrize("word", BANNED_WORDS)
def test_word_rule_objects(word):
    assert banned_words("x.yaml", f"a: 1\nb: 2  # {word}: c") == [f"x.yaml:2 says {word}"]
    assert banned_words("x.yaml", f"a{word}\n{word.lower()}") == []


@pytest.mark.parametrize("word", BANNED_IN_CLASS_NAMES)
def test_class_name_rule_objects(word):
    assert len(vague_class_names("x.py", f"class Task{word}: ...")) == 1
    assert vague_class_names("x.py", f"class Task({word}): ...") == []


def test_readme_rule_objects():
    assert unmentioned(["claim-race"], "see claim-race-2 and reclaim-race") == ["claim-race"]
    assert unmentioned(["claim-race"], "see `scenarios/claim-race.yaml`") == []


def test_top_level_rule_objects():
    assert strangers({"foreman", ".ci", ".editorconfig", "utils.py", "docs"}) == ["docs", "utils.py"]


def test_dead_file_rule_objects():
    sources = {
        "foreman/__init__.py": "",
        "foreman/cli/__init__.py": "def f():\n    from sim import world",
        "foreman/queue.py": "from foreman import orphan",
        "foreman/orphan.py": "from foreman import queue",
        "sim/__init__.py": "",
        "sim/__main__.py": "",
        "sim/world.py": "from .host import Host",
        "sim/host.py": "import foreman.api.meta",
        "foreman/api/__init__.py": "from .task import Task",
        "foreman/api/meta.py": "",
        "foreman/api/task.py": "",
    }
    assert dead_files(sources, ENTRY_POINTS) == ["foreman/orphan.py", "foreman/queue.py"]
