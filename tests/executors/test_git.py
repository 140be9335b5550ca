"""Git work on bare repositories: clone, branch, publish; and the fence, in both orders."""

from __future__ import annotations

import asyncio
import os
import stat

import pytest
from pydantic import SecretStr
from support import new_task
from tools_kit import bare, checkout, git, gitting

from foreman.api.task import FailureReason
from foreman.executors.git import (
    Checkout,
    CommitRejected,
    Folders,
    NotPrepared,
    Plan,
    PushFailed,
    Remote,
    Superseded,
    branch_name,
    plan_of,
)
from foreman.executors.git.fence import Record, may_force, may_take, parse

BRANCH = "foreman/issue-7"


def prepare(each):
    asyncio.run(each.prepare())
    return each


def publish(each, message="Fix it"):
    return asyncio.run(each.publish(message))


def write(each, text="def answer():\n    return 42\n", name="app.py"):
    path = os.path.join(each.path, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)


def on_remote(remote, ref=BRANCH, name="app.py"):
    return git(remote, "show", f"{ref}:{name}")


# names


def task(kind="issue-fix", name="t", labels=None, **payload):
    made = new_task(name, kind=kind, payload={"repo": "octo/app", **payload})
    return made.evolve(metadata=made.metadata.evolve(labels=labels or {}))


@pytest.mark.parametrize(
    ("given", "branch"),
    [
        ({"branch": "mine", "issue": 7}, "mine"),
        ({"issue": 7, "labels": {"foreman.llmkube.dev/workload": "w"}}, "foreman/w/issue-7"),
        ({"issue": 7}, "foreman/issue-7"),
        ({}, "foreman/t"),
        ({"issue": 7, "branchPrefix": "bot/"}, "bot/issue-7"),
    ],
)
def test_branch_names(given, branch):
    assert branch_name(task(**given)) == branch


@pytest.mark.parametrize(
    "name", ["-x", "a..b", "a b", "/a", "a/", "a.lock", "a~1", "a:b", "a@{1}", "a//b", "x" * 201, "a\\b"]
)
def test_what_is_no_branch_name_is_said(name):
    with pytest.raises(NotPrepared, match="no branch name") as refused:
        plan_of(task(branch=name), 1)
    assert refused.value.reason is FailureReason.CONSTRAINT_VIOLATED


@pytest.mark.parametrize("repo", ["", "app", "a/b/c", "../x/y", "-a/b", "https://x/y", "a/b.git", "a/..", "a b/c"])
def test_what_is_no_repository_is_said(repo):
    with pytest.raises(NotPrepared, match="expected owner/name"):
        plan_of(task(repo=repo), 1)


@pytest.mark.parametrize(
    ("kind", "adopt", "publishes"), [("issue-fix", "", True), ("review", "must", False), ("verify", "may", False)]
)
def test_plans_by_kind(kind, adopt, publishes):
    plan = plan_of(task(kind), 3)
    assert (plan.adopt, plan.publishes, plan.attempt) == (adopt, publishes, 3)


# clone, commit, push


def test_clone_commit_push(tmp_path):
    remote = bare(tmp_path)
    each = prepare(checkout(tmp_path))
    write(each)
    write(each, "new\n", "docs/new.md")
    done = publish(each, "Answer 42\n\nAs asked.")
    assert done.changed
    assert done.branch == BRANCH
    assert git(remote, "rev-parse", BRANCH) == done.commit
    assert on_remote(remote) == "def answer():\n    return 42"
    assert on_remote(remote, name="docs/new.md") == "new"
    message = git(remote, "log", "-1", "--format=%B", BRANCH)
    assert message.startswith("Answer 42\n\nAs asked.\n\nForeman-Task: default/t\n")
    assert message.endswith("Foreman-Attempt: 1")
    assert git(remote, "rev-parse", "main") == each.start


def test_without_a_change_nothing_is_pushed(tmp_path):
    remote = bare(tmp_path)
    each = prepare(checkout(tmp_path))
    done = publish(each)
    assert (done.changed, done.commit) == (False, each.start)
    assert git(remote, "branch", "--list", BRANCH) == ""


def test_work_that_the_model_committed_itself_is_not_lost(tmp_path):
    remote = bare(tmp_path)
    each = prepare(checkout(tmp_path))
    write(each)
    git(each.path, "add", "-A")
    git(each.path, "commit", "-q", "-m", "mine")
    assert publish(each, "").changed
    assert "return 42" in on_remote(remote)
    assert git(remote, "log", "-1", "--format=%s", BRANCH) == "Work of default/t"


def test_a_model_that_breaks_its_git_folder_breaks_nothing(tmp_path):
    remote = bare(tmp_path)
    each = prepare(checkout(tmp_path))
    write(each)
    git(tmp_path, "init", "-q", "--bare", "trash")
    os.rename(os.path.join(each.path, ".git"), tmp_path / "gone")
    assert publish(each).changed
    assert "return 42" in on_remote(remote)


def test_a_repository_inside_the_workspace_is_left_out(tmp_path):
    remote = bare(tmp_path)
    each = prepare(checkout(tmp_path))
    write(each)
    write(each, "x", "inner/x")
    inner = os.path.join(each.path, "inner")
    git(inner, "init", "-q")
    git(inner, "add", "-A")
    git(inner, "commit", "-q", "-m", "inner")
    publish(each)
    assert "inner" not in git(remote, "ls-tree", "-r", "--name-only", BRANCH)
    assert "inner is a repository of its own" in each.notes[0]


def test_ignored_files_stay_out_and_tracked_ones_stay_in(tmp_path):
    remote = bare(tmp_path, {".gitignore": "*.log\n", "app.py": "x\n"})
    each = prepare(checkout(tmp_path))
    write(each, "y\n")
    write(each, "noise", "a.log")
    publish(each)
    assert git(remote, "ls-tree", "-r", "--name-only", BRANCH).split() == [".gitignore", "app.py"]


def test_a_dirty_workspace_of_an_earlier_attempt_is_wiped(tmp_path):
    """Read-only files, folders that cannot be entered, and a link in the workspace's place included."""
    remote = bare(tmp_path)
    first = prepare(checkout(tmp_path))
    write(first, "left over", "deep/old.txt")
    os.chmod(os.path.join(first.path, "deep"), 0)
    second = prepare(checkout(tmp_path, attempt=2))
    assert sorted(os.listdir(second.path)) == [".git", "app.py"]
    second.discard()
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("x")
    os.symlink(tmp_path / "precious", second.path)
    prepare(checkout(tmp_path, attempt=3))
    assert os.listdir(tmp_path / "precious") == ["file"]
    assert remote.exists()


def test_discard_leaves_nothing(tmp_path):
    bare(tmp_path)
    each = prepare(checkout(tmp_path))
    each.discard()
    assert os.listdir(tmp_path / "a" / "default") == []


# what is not there


def refusal(each):
    with pytest.raises(NotPrepared) as refused:
        prepare(each)
    return refused.value


def test_a_repository_that_does_not_exist(tmp_path):
    error = refusal(checkout(tmp_path))
    assert error.reason is FailureReason.CLONE_FAILED
    assert "octo/app.git" in str(error)
    assert "\n" not in str(error)


def test_an_empty_repository(tmp_path):
    (tmp_path / "octo").mkdir()
    git(tmp_path, "init", "-q", "--bare", "octo/app.git")
    assert "the repository is empty" in str(refusal(checkout(tmp_path)))


def test_a_base_that_is_not_there(tmp_path):
    bare(tmp_path)
    assert "there is no branch release" in str(refusal(checkout(tmp_path, base="release")))


def test_a_review_needs_its_branch_and_a_verification_falls_back(tmp_path):
    bare(tmp_path)
    assert "there is no branch foreman/issue-7 to review" in str(refusal(checkout(tmp_path, adopt="must")))
    each = prepare(checkout(tmp_path, adopt="may", publishes=False))
    assert os.path.exists(os.path.join(each.path, "app.py"))
    with pytest.raises(PushFailed, match="made for reading"):
        publish(each)


def test_no_remote_and_a_password_in_the_address():
    with pytest.raises(NotPrepared) as refused:
        Remote("").address("a/b")
    assert refused.value.reason is FailureReason.GIT_REMOTE_NOT_CONFIGURED
    with pytest.raises(NotPrepared, match="must not have a user or password") as refused:
        Remote("https://me:hunter2@example.com/{repo}.git").address("a/b")
    assert "hunter2" not in str(refused.value)


# revising


def human(remote, folder, ref, text, name="app.py"):
    """Somebody pushes to a branch."""
    clone = folder / f"human-{len(os.listdir(folder))}"
    git(folder, "clone", "-q", str(remote), str(clone))
    git(clone, "checkout", "-q", "-B", ref, f"origin/{ref}")
    (clone / name).write_text(text)
    git(clone, "add", "-A")
    git(clone, "commit", "-q", "-m", "by hand")
    git(clone, "push", "-q", "origin", ref)
    return git(clone, "rev-parse", "HEAD")


def test_a_revision_begins_with_the_work_before_on_the_newest_base(tmp_path):
    remote = bare(tmp_path)
    first = prepare(checkout(tmp_path))
    write(first)
    publish(first)
    human(remote, tmp_path, "main", "news\n", "NEWS")
    again = prepare(
        checkout(tmp_path, uid="u-2", task="default/t-r1", revise=BRANCH, rebase=True, allow_overwrite=True)
    )
    assert sorted(os.listdir(again.path)) == [".git", "NEWS", "app.py"]
    write(again, "better\n")
    publish(again)
    assert on_remote(remote) == "better"
    assert on_remote(remote, name="NEWS") == "news"


def test_a_revision_that_does_not_rebase_goes_on_from_where_it_was(tmp_path):
    remote = bare(tmp_path)
    first = prepare(checkout(tmp_path))
    write(first)
    publish(first)
    human(remote, tmp_path, "main", "conflict\n")
    again = prepare(checkout(tmp_path, uid="u-2", revise=BRANCH, rebase=True, allow_overwrite=True))
    assert "does not rebase cleanly" in again.notes[0]
    with open(os.path.join(again.path, "app.py")) as file:
        assert "return 42" in file.read()


def test_a_revision_of_nothing_fails(tmp_path):
    bare(tmp_path)
    assert "no branch gone to go on from" in str(refusal(checkout(tmp_path, revise="gone", rebase=True)))


# the fence


def racing(tmp_path, published_first):
    """Attempt 1 becomes a zombie, attempt 2 takes over on another machine; they publish in either order."""
    remote = bare(tmp_path)
    zombie = prepare(checkout(tmp_path, attempt=1, machine="a"))
    write(zombie, "zombie\n")
    heir = prepare(checkout(tmp_path, attempt=2, machine="b"))
    write(heir, "heir\n")
    if published_first == "zombie":
        with pytest.raises(Superseded, match="held by default/t, attempt 2"):
            publish(zombie)
        publish(heir)
    else:
        publish(heir)
        with pytest.raises(Superseded, match="attempt 2"):
            publish(zombie)
    return remote


@pytest.mark.parametrize("first", ["zombie", "heir"])
def test_a_zombie_cannot_overwrite_its_successor(tmp_path, first):
    assert on_remote(racing(tmp_path, first)) == "heir"


def test_a_zombie_is_refused_even_when_its_successor_pushes_nothing(tmp_path):
    remote = bare(tmp_path)
    zombie = prepare(checkout(tmp_path, attempt=1, machine="a"))
    write(zombie, "zombie\n")
    prepare(checkout(tmp_path, attempt=2, machine="b"))
    with pytest.raises(Superseded):
        publish(zombie)
    assert git(remote, "branch", "--list", BRANCH) == ""


def test_a_zombie_that_only_now_begins_is_refused(tmp_path):
    bare(tmp_path)
    prepare(checkout(tmp_path, attempt=2, machine="b"))
    with pytest.raises(Superseded, match="attempt 1 comes too late"):
        prepare(checkout(tmp_path, attempt=1, machine="a"))


def test_it_is_the_remote_that_refuses(tmp_path):
    """Negative control: without the lease on the fence the same zombie gets through, so it is the lease that stops it."""
    remote = bare(tmp_path)
    zombie = prepare(checkout(tmp_path, attempt=1, machine="a"))
    write(zombie, "zombie\n")
    prepare(checkout(tmp_path, attempt=2, machine="b"))
    honest = zombie.git.network

    async def without_lease(git_dir, address, *arguments):
        kept = [each for each in arguments if "refs/foreman" not in each]
        return await honest(git_dir, address, *(kept if arguments[0] == "push" else arguments))

    zombie.git.network = without_lease
    publish(zombie)
    assert on_remote(remote) == "zombie"


def test_an_attempt_overwrites_what_its_predecessor_pushed(tmp_path):
    remote = bare(tmp_path)
    first = prepare(checkout(tmp_path, attempt=1, machine="a"))
    write(first, "first\n")
    publish(first)
    second = prepare(checkout(tmp_path, attempt=2, machine="b"))
    write(second, "second\n")
    publish(second)
    assert on_remote(remote) == "second"
    fence = git(remote, "log", "--format=%s", "refs/foreman/fence/" + BRANCH).splitlines()
    assert [line.split()[1] for line in fence] == ["published", "taken", "published", "taken"]


def test_work_of_others_on_the_branch_is_not_overwritten(tmp_path):
    remote = bare(tmp_path)
    first = prepare(checkout(tmp_path, attempt=1))
    write(first, "first\n")
    publish(first)
    theirs = human(remote, tmp_path, BRANCH, "by hand\n")
    second = prepare(checkout(tmp_path, attempt=2))
    write(second, "second\n")
    with pytest.raises(PushFailed, match="does not build on"):
        publish(second)
    assert git(remote, "rev-parse", BRANCH) == theirs
    third = prepare(checkout(tmp_path, attempt=3, allow_overwrite=True))
    write(third, "third\n")
    publish(third)
    assert on_remote(remote) == "third"


def test_a_push_by_somebody_in_the_meantime_is_not_overwritten(tmp_path):
    remote = bare(tmp_path)
    first = prepare(checkout(tmp_path, attempt=1))
    write(first, "first\n")
    publish(first)
    second = prepare(checkout(tmp_path, attempt=2, allow_overwrite=True))
    write(second, "second\n")
    human(remote, tmp_path, BRANCH, "meanwhile\n")
    with pytest.raises(PushFailed):
        publish(second)
    assert on_remote(remote) == "meanwhile"


def test_a_push_whose_answer_was_lost_has_landed(tmp_path):
    remote = bare(tmp_path)
    each = prepare(checkout(tmp_path))
    write(each)
    honest = each.git.network

    async def losing(git_dir, address, *arguments):
        said = await honest(git_dir, address, *arguments)
        if arguments[0] == "push":
            from foreman.executors.git import GitError

            raise GitError("the connection was reset")
        return said

    each.git.network = losing
    done = publish(each)
    assert git(remote, "rev-parse", BRANCH) == done.commit


def test_only_the_tasks_own_branch_is_pushed(tmp_path):
    remote = bare(tmp_path)
    before = git(remote, "rev-parse", "main")
    each = prepare(checkout(tmp_path))
    write(each)
    with open(os.path.join(each.path, ".git", "config"), "a") as file:
        file.write('[remote "origin"]\n url = x\n push = +HEAD:refs/heads/main\n[push]\n default = matching\n')
    publish(each)
    assert git(remote, "rev-parse", "main") == before
    refs = git(remote, "for-each-ref", "--format=%(refname)").split()
    assert refs == ["refs/foreman/fence/" + BRANCH, "refs/heads/" + BRANCH, "refs/heads/main"]


def test_records():
    record = Record("default/t", "u", 3, "abc")
    assert parse(record.message()) == record
    assert parse("some commit") is None
    assert may_take(record, None)
    assert may_take(record, Record("default/t", "u", 3))
    assert not may_take(record, Record("default/t", "u", 4))
    assert may_take(record, Record("default/o", "other", 9))
    held = Record("default/t", "u", 2, "c1")
    assert may_force(record, held, "c1", False)
    assert not may_force(record, held, "c2", False)
    assert may_force(record, held, "c2", True)
    assert not may_force(record, Record("default/o", "other", 2, "c1"), "c1", False)


# the token


def test_hooks_and_filters_of_the_model_do_not_run(tmp_path):
    bare(tmp_path)
    each = prepare(checkout(tmp_path))
    write(each)
    write(each, "*.py filter=evil diff=evil merge=evil\n", ".gitattributes")
    ran = tmp_path / "ran"
    with open(os.path.join(each.path, ".git", "config"), "a") as file:
        file.write(f'[filter "evil"]\n clean = touch {ran}\n[core]\n fsmonitor = "touch {ran}"\n hooksPath = hooks\n')
    hook = os.path.join(each.path, ".git", "hooks", "pre-push")
    os.makedirs(os.path.dirname(hook), exist_ok=True)
    with open(hook, "w") as file:
        file.write(f"#!/bin/sh\ntouch {ran}\n")
    os.chmod(hook, stat.S_IRWXU)
    publish(each)
    assert not ran.exists()


def test_the_token_is_in_no_argument_environment_error_or_file(tmp_path, monkeypatch):
    """A git that writes down all it is given, asks its helper, and complains with the token in its mouth."""
    folder = tmp_path / "bin"
    folder.mkdir()
    spy = folder / "git"
    spy.write_text(
        f"""#!/bin/sh
for a in "$@"; do echo "arg $a" >>{tmp_path}/seen; case "$a" in credential.http*) helper=${{a#*.helper=!}};; esac; done
env >>{tmp_path}/seen
[ -z "$helper" ] || {{
  sh -c "$helper get" >{tmp_path}/told
  sed -n 's/^password=/remote: bad /p' {tmp_path}/told >&2
  exit 128
}}
"""
    )
    spy.chmod(0o755)
    secret = "tok-" + "5" * 20
    work = gitting(tmp_path, token=SecretStr(secret))
    work.remote = Remote("https://127.0.0.1:9/{repo}.git", SecretStr(secret))
    work.environ = {"PATH": f"{folder}:{os.environ['PATH']}", "FOREMAN_TOKEN": secret}
    each = Checkout(work, Plan("octo/app", BRANCH), Folders.under(str(tmp_path / "ws"), "default", "t"))
    with pytest.raises(NotPrepared) as refused:
        prepare(each)
    assert (tmp_path / "told").read_text() == f"username=x-access-token\npassword={secret}\n"
    assert secret not in (tmp_path / "seen").read_text()
    assert "bad ***" in str(refused.value)
    assert secret not in str(refused.value) + repr(work.remote) + repr(each)
    for path, _, names in os.walk(tmp_path / "ws"):
        for name in names:
            with open(os.path.join(path, name), "rb") as file:
                assert secret.encode() not in file.read()


def test_what_cannot_be_committed_is_said(tmp_path):
    bare(tmp_path)
    each = prepare(checkout(tmp_path))
    write(each)
    each.start = "0" * 40
    with pytest.raises(CommitRejected, match="cannot commit the workspace"):
        publish(each)
