"""payload.images: shown to an Agent that has eyes, in parts; what cannot be shown is said before the model is asked."""

from __future__ import annotations

import base64
import json
import os

import pytest
from loop_kit import Scripted, calls, drive, submit, toys
from support import new_task
from test_desk import laid_out
from test_native import agent
from tools_kit import REPO, bare, workspace

from foreman.api.agent import Vision
from foreman.executors.loop import Limits, Loop, RuntimeLeash
from foreman.executors.loop.compaction import size, without_dropped
from foreman.executors.loop.pictures import TOKENS, content, picture
from foreman.executors.loop.transcript import document, entries
from foreman.executors.prompt import task_prompt
from foreman.executors.tools.images import Unseen, shown

PNG = b"\x89PNG\r\n\x1a\n" + b"x" * 20
SEES = Vision(enabled=True)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"RIFF\0\0\0\0WAVE", None),
        (b"<svg/>", None),
        (b"", None),
    ],
)
def test_an_image_is_what_it_begins_like(data, kind):
    made = picture("a.png", data)
    assert (made.kind if made else None) == kind


@pytest.fixture
def space(tmp_path):
    made = workspace(tmp_path)
    (tmp_path / "work/a.png").write_bytes(PNG)
    (tmp_path / "work/notes.png").write_text("text")
    (tmp_path / "work/out.png").symlink_to("/etc/hosts")
    (tmp_path / "work/folder").mkdir()
    os.mkfifo(tmp_path / "work/pipe.png")
    yield made
    made.close()


def test_images_are_read_from_the_workspace(space):
    [one] = shown(space, ["a.png"], SEES)
    assert (one.path, base64.b64decode(one.encoded)) == ("a.png", PNG)
    assert list(shown(space, ["a.png"], None)) == list(shown(space, ["a.png"], Vision())) == []


@pytest.mark.parametrize(
    ("paths", "vision", "said"),
    [
        (["none.png"], SEES, "none.png"),
        (["notes.png"], SEES, "notes.png is no PNG"),
        (["../secret.png"], SEES, "payload.images"),
        (["/etc/passwd"], SEES, "payload.images"),
        (["out.png"], SEES, "payload.images"),
        (["folder"], SEES, "payload.images"),
        (["pipe.png"], SEES, "payload.images"),
        (["a.png"] * 5, SEES, "5 images, the Agent takes 4"),
        (["a.png"] * 2, SEES.evolve(max_images=1), "2 images, the Agent takes 1"),
        (["a.png"], SEES.evolve(max_image_bytes=30), "longer than 30 bytes in base64"),
        (["a.png"], SEES.evolve(max_image_bytes=4), "payload.images"),
    ],
)
def test_what_cannot_be_shown_is_said(space, paths, vision, said):
    with pytest.raises(Unseen, match=said):
        list(shown(space, paths, vision))


def test_a_desk_that_cannot_show_them_is_a_verdict(tmp_path):
    bare(tmp_path, {"a.png": "no image"})
    payload = {"repo": REPO, "issue": 1, "images": ["a.png"]}
    task = new_task("t", agentRef={"name": "smith"}, kind="issue-fix", payload=payload)
    reason, said = laid_out(tmp_path, task=task, smith=agent(vision={"enabled": True}))
    assert (reason, "a.png is no PNG" in said) == ("ConstraintViolated", True)


def test_the_model_is_shown_parts_and_the_transcript_is_not(tmp_path):
    made = picture("a.png", PNG)

    async def main(process):
        model = Scripted([calls(("read_file", {})), submit()], process)
        loop = Loop(process, model, toys(), Limits(), system="s", task="Look.", pictures=[made])
        await loop.run(RuntimeLeash(process, process.event(), 100))
        return model.requests[-1].messages[1]["content"], document(entries(loop.conversation))

    told, kept = drive(main)
    assert [part["type"] for part in told] == ["text", "text", "image_url"]
    assert told[0]["text"] == "Look."
    assert told[2]["image_url"]["url"] == f"data:image/png;base64,{made.encoded}"
    assert made.encoded not in kept
    [part] = [each for each in json.loads(kept)["messages"][1]["content"] if each["type"] == "image_url"]
    assert part["image_url"]["url"] == f"data:image/png;base64,[{len(made.encoded)} characters left out]"


def test_without_images_it_is_plain_text():
    assert content("Look.", []) == "Look."


def test_an_image_counts_as_its_tokens_and_compaction_keeps_it():
    made = picture("a.png", PNG + b"x" * 1_000_000)
    head = {"role": "user", "content": content("Look.", [made])}
    assert size(head) - 4 * TOKENS < 100
    turns = [{"role": "assistant", "content": "x"}, {"role": "assistant", "content": "y"}]
    kept = without_dropped([head, *turns], [1, 2], 2)
    assert kept[0]["content"][:3] == head["content"]
    assert "no longer shown" in kept[0]["content"][-1]["text"]


def test_an_agent_without_eyes_is_told_that_there_is_something_to_see():
    task = new_task("t", payload={"prompt": "Look.", "images": ["a.png"]}, kind="freeform")
    assert "images that you cannot see: a.png" in task_prompt(task, agent().spec)
    assert "cannot see" not in task_prompt(task, agent(vision={"enabled": True}).spec)
