"""The end of a stream, in bounded memory: what went wrong stands at the end."""

from __future__ import annotations


class Tail:
    """Takes any number of bytes, keeps the last `limit`. `total` counts them all."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.total = 0
        self._kept = bytearray()

    def feed(self, chunk: bytes) -> None:
        self.total += len(chunk)
        self._kept += chunk
        if len(self._kept) > 2 * self.limit:
            del self._kept[: -self.limit]

    def text(self) -> str:
        """What was kept as text; what was left out is said in the first line. Undecodable bytes become U+FFFD."""
        kept = bytes(self._kept[-self.limit :])
        left_out = self.total - len(kept)
        if not left_out:
            return kept.decode(errors="replace")
        # The cut may have gone through a character: its rest is no character.
        start = next((i for i, byte in enumerate(kept[:4]) if byte & 0xC0 != 0x80), 0)
        return f"[{left_out + start} bytes left out; the last {len(kept) - start} of {self.total}:]\n" + kept[
            start:
        ].decode(errors="replace")


def tail(text: str, limit: int) -> str:
    """The last `limit` bytes of a text, as `Tail` would tell them."""
    kept = Tail(limit)
    kept.feed(text.encode(errors="replace"))
    return kept.text()
