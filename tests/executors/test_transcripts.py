"""Transcripts: under the cap, one per attempt, in the cluster or beside it, lost to nothing."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loop_kit import drive
from support import new_task

from foreman.cluster import AlreadyExists, Forbidden, Unavailable
from foreman.executors.loop.transcript import CAP, document
from foreman.executors.transcripts import Attempt, ClusterTranscripts, FileTranscripts, config_map, name_of

MESSAGES = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
META = {"turns": 1}


def messages(count, length):
    return [{"role": "tool", "content": f"{n}:" + "x" * length} for n in range(count)]


def test_below_the_cap_all_is_kept():
    assert json.loads(document(messages(100, 100))) == {
        "schemaVersion": "foreman.transcript.v1", "messages": messages(100, 100),
    }  # fmt: skip


def test_over_the_cap_the_first_two_and_the_last_ten_are_kept():
    said = json.loads(document(messages(100, 20_000)))["messages"]
    assert [each["content"].partition(":")[0] for each in said if each["role"] == "tool"] == [
        "0", "1", *map(str, range(90, 100)),
    ]  # fmt: skip
    assert said[2] == {"role": "marker", "content": "[88 messages left out: too large]"}


def test_ten_messages_that_are_too_large_keep_their_two_ends():
    text = document([{"role": "tool", "content": "begin" + "x" * 10_000_000 + "end"}] * 3)
    assert len(text.encode()) <= CAP
    content = json.loads(text)["messages"][0]["content"]
    assert content.startswith("begin")
    assert content.endswith("end")
    assert "characters left out" in content


@settings(max_examples=60)
@given(st.lists(st.tuples(st.text(max_size=40), st.integers(0, 300)), max_size=40), st.integers(300, 6000))
def test_the_cap_holds_whatever_was_said(said, cap):
    text = document([{"role": "tool", "content": part * times} for part, times in said], cap)
    assert len(text.encode()) <= cap
    assert json.loads(text)["schemaVersion"] == "foreman.transcript.v1"


def test_half_a_surrogate_pair_can_be_stored():
    assert json.loads(document([{"role": "assistant", "content": "\ud83d"}]))["messages"][0]["content"] == "?"


def attempt(number=1, name="t"):
    return Attempt(new_task(name), number)


@pytest.mark.parametrize(
    ("number", "name", "expected"),
    [(1, "t", "foreman-transcript-t"), (0, "t", "foreman-transcript-t"), (3, "t", "foreman-transcript-t-3")],
)
def test_the_first_attempt_has_the_originals_name(number, name, expected):
    assert name_of(attempt(number, name)) == expected


def test_names_that_are_too_long_stay_apart():
    one, two = (name_of(attempt(1, "x" * 250 + end)) for end in "ab")
    assert one != two
    assert max(len(one), len(two)) <= 253
    made = config_map(attempt(1, "x" * 250), "{}", {})
    assert all(len(value) <= 63 for value in made.metadata.labels.values())


def test_a_transcript_goes_with_its_task():
    task = new_task("t")
    task = task.evolve(metadata=task.metadata.evolve(uid="u1"))
    made = config_map(Attempt(task, 1), "{}", META)
    assert made.metadata.labels == {"foreman.llmkube.dev/transcript-of": "t"}
    assert [(owner.kind, owner.uid) for owner in made.metadata.owner_references] == [("AgenticTask", "u1")]
    assert sorted(made.data) == ["meta.json", "transcript.json"]


class Store:
    """A cluster that only knows ConfigMaps, and fails as told first."""

    def __init__(self, *failures):
        self.failures = list(failures)
        self.held = {}

    async def create(self, obj):
        if self.failures:
            raise self.failures.pop(0)
        if obj.metadata.name in self.held:
            raise AlreadyExists(obj.metadata.name)
        self.held[obj.metadata.name] = dict(obj.data)

    async def patch(self, obj, changes, *, if_version):
        self.held[obj.metadata.name].update(changes["data"])


def save(store, files=None, number=1, said=MESSAGES):
    async def main(process):
        return await ClusterTranscripts(store, process, files).save(attempt(number), said, META), process.now()

    return drive(main)


def test_it_is_stored_in_the_cluster_and_named():
    store = Store()
    assert save(store)[0] == "foreman-transcript-t"
    assert json.loads(store.held["foreman-transcript-t"]["transcript.json"])["messages"] == MESSAGES


def test_a_second_attempt_does_not_overwrite_the_first():
    store = Store()
    save(store)
    save(store, number=2, said=[])
    assert json.loads(store.held["foreman-transcript-t"]["transcript.json"])["messages"] == MESSAGES


def test_an_api_that_is_away_is_asked_again():
    reference, seconds = save(Store(Unavailable("x"), Unavailable("x")))
    assert (reference, seconds) == ("foreman-transcript-t", 3)


def test_a_create_whose_answer_was_lost_is_no_obstacle():
    store = Store(Unavailable("x"))
    store.held["foreman-transcript-t"] = {}
    assert save(store)[0] == "foreman-transcript-t"
    assert store.held["foreman-transcript-t"]["transcript.json"]


@pytest.mark.parametrize("failures", [[Unavailable("x")] * 9, [Forbidden("no")]])
def test_what_the_cluster_does_not_take_is_in_the_file(tmp_path, failures):
    reference, _ = save(Store(*failures), FileTranscripts(tmp_path))
    assert reference == str(tmp_path / "default/t/attempt-1/transcript.json")
    assert json.loads((tmp_path / "default/t/attempt-1/transcript.json").read_text())["messages"] == MESSAGES


def test_the_journal_outlives_the_process_and_goes_when_all_is_stored(tmp_path):
    files = FileTranscripts(tmp_path)
    files.note(attempt(), MESSAGES[:1])
    files.note(attempt(), MESSAGES[1:])
    journal = tmp_path / "default/t/attempt-1/journal.jsonl"
    assert [json.loads(line) for line in journal.read_text().splitlines()] == MESSAGES
    drive(lambda process: files.save(attempt(), MESSAGES, META))
    assert not journal.exists()


def test_the_journal_is_under_a_cap_and_a_full_disk_ends_nothing(tmp_path):
    files = FileTranscripts(tmp_path, cap=100)
    for _ in range(50):
        files.note(attempt(), MESSAGES)
    assert (tmp_path / "default/t/attempt-1/journal.jsonl").stat().st_size <= 100
    blocked = FileTranscripts(tmp_path / "default/t/attempt-1/journal.jsonl")
    blocked.note(attempt(), MESSAGES)
    assert drive(lambda process: blocked.save(attempt(), MESSAGES, META)) == ""
