"""Azure LLM inference traces (2023, 2024): TIMESTAMP, ContextTokens, GeneratedTokens; one request a line."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from sim.importers.imported import Imported
from sim.importers.lines import Line, rows
from sim.listed import Work

COLUMNS = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
SLOTS = 16
TOKENS_PER_SECOND = 1000
TOKENS_MAX = 10**8


def read(path: Path, limit: int | None, nodes: int) -> Imported:
    """A request is a task that reads and writes tokens. Raises BadTrace."""
    found = Imported("azure-llm", f"The LLM requests of {path.name}, one task each.")
    of = found.classify("request", {})
    for number, line in enumerate(rows(path, COLUMNS, "a trace of LLM requests")):
        if limit is not None and number >= limit:
            found.losses["requests left out (--limit)"] += 1
            continue
        tokens = line.whole("ContextTokens"), line.whole("GeneratedTokens")
        if max(tokens) > TOKENS_MAX:
            raise line.bad(f"{max(tokens)} tokens: expected at most {TOKENS_MAX}")
        found.work.append(Work(_moment(line), 0, of, tokens))
    found.fleet["gpu"] = {"count": nodes, "slots": SLOTS, "tokensPerSecond": TOKENS_PER_SECOND, "accelerator": "cuda"}
    told = (
        f"fleet not in the trace: {nodes} nodes that write {TOKENS_PER_SECOND} tokens/s, shared by up to {SLOTS} runs"
    )
    found.losses[told] += 1
    return found


def _moment(line: Line) -> int:
    text = line.fields["TIMESTAMP"].strip()
    if text.replace(".", "").isdigit():
        return line.seconds("TIMESTAMP")
    try:
        # Seven decimals there, six in Python before 3.11's parser and no further after it.
        at = datetime.fromisoformat(text)
    except ValueError:
        raise line.bad(f"TIMESTAMP: expected 2023-11-16 18:17:03.97, or seconds, not {text!r}") from None
    since = (at if at.tzinfo else at.replace(tzinfo=UTC)) - datetime(1970, 1, 1, tzinfo=UTC)
    return since.days * 86_400 * 10**6 + since.seconds * 10**6 + since.microseconds
