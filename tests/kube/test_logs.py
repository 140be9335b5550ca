"""Log lines: JSON for machines, columns for people."""

from __future__ import annotations

import io
import json
import logging
from typing import Any

import pytest

from foreman.kube import logs


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def log():
    """`log(style, level, stream)` sets up and gives a logger of the product; what was set before is put back."""
    root, product = logging.getLogger(), logging.getLogger("foreman")
    before = root.handlers[:], root.level, product.level

    def made(style: str | None, level: str = "info", stream: Any = None) -> tuple[logging.Logger, Any]:
        out = stream or io.StringIO()
        logs.set_up(style, level, out)
        return logging.getLogger("foreman.test"), out

    yield made
    root.handlers[:], root.level, product.level = before


def test_a_json_line_is_one_object_with_the_fields_beside_the_message(log):
    logger, out = log("json")
    logger.info("claimed by %s", "n1", extra={"object": "default/t", "attempt": 2})
    line = json.loads(out.getvalue())
    assert out.getvalue().count("\n") == 1
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "logger": "foreman.test",
        "message": "claimed by n1",
        "object": "default/t",
        "attempt": 2,
    }


def test_a_json_line_stays_one_line_whatever_is_in_it(log):
    logger, out = log("json")
    try:
        raise ValueError("two\nlines")
    except ValueError:
        logger.exception("went\nwrong", extra={"what": object})
    assert out.getvalue().count("\n") == 1
    assert "ValueError: two\nlines" in json.loads(out.getvalue())["error"]


def test_a_console_line_is_time_level_message_fields(log):
    logger, out = log("console")
    logger.warning("result discarded", extra={"object": "default/t", "why": "not ours", "empty": ""})
    assert out.getvalue()[8:] == ' WARNING result discarded  object=default/t  why="not ours"  empty=""\n'


@pytest.mark.parametrize(("stream", "first"), [(Terminal(), "\x1b"), (io.StringIO(), "{")])
def test_unasked_a_terminal_gets_the_console_and_a_pipe_json(log, stream, first):
    logger, out = log(None, stream=stream)
    logger.info("hello")
    assert first in out.getvalue()[:10]


def test_the_level_holds_for_the_product_and_libraries_stay_quiet(log):
    logger, out = log("console", "debug")
    logger.debug("ours")
    logging.getLogger("aiohttp.access").info("theirs")
    logging.getLogger("aiohttp").warning("their trouble")
    assert [line.split()[2:] for line in out.getvalue().splitlines()] == [["ours"], ["their", "trouble"]]
