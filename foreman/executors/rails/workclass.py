"""What kind of work a change is, by its files, and whether a model may wave it through by itself. Pure."""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Collection

from foreman.api import DEFAULT_SELF_GO, SelfGo, VerdictPolicy
from foreman.executors.rails.change import Change

DOMINANT = 0.7

_CI = re.compile(
    r"^(\.github/(workflows|actions)/|\.gitlab-ci|\.circleci/|\.buildkite/|\.tekton/|\.woodpecker|jenkinsfile|azure-pipelines"
    r"|\.travis\.yml|\.drone\.yml|\.pre-commit-config|\.github/(codeowners|dependabot)|codeowners|\.ci/)"
)
_RELEASE = re.compile(
    r"(^|/)(\.?goreleaser\.ya?ml|release-please[^/]*|\.release-please[^/]*|\.releaserc[^/]*|release\.(sh|py|toml|ya?ml)"
    r"|cliff\.toml|\.changeset/.*|semantic-release[^/]*)$|^(hack|scripts)/release"
)
_PACKAGING = re.compile(
    r"(^|/)(dockerfile[^/]*|containerfile[^/]*|[^/]*\.dockerfile|makefile|chart\.ya?ml|go\.(mod|sum)|package(-lock)?\.json|pnpm-lock\.yaml"
    r"|yarn\.lock|cargo\.(toml|lock)|pyproject\.toml|setup\.(py|cfg)|requirements[^/]*\.txt|uv\.lock|poetry\.lock|manifest\.in"
    r"|[^/]*\.(spec|gemspec))$|^(charts|packaging|debian)/"
)
_DOCS = re.compile(
    r"(^|/)(docs?|documentation)/|\.(md|mdx|rst|adoc|txt)$|(^|/)(readme|license|notice|authors|changelog)[^/]*$"
)
_CONFIG = re.compile(r"\.(ya?ml|toml|ini|cfg|conf|json|env|properties|tf|hcl)$|(^|/)\.[^/]+$")

# The first that fits: a workflow is a YAML file, too, but not any configuration.
_RULES = (
    (_CI, SelfGo.CI_POLICY),
    (_RELEASE, SelfGo.RELEASE_POLICY),
    (_PACKAGING, SelfGo.PACKAGING),
    (_DOCS, SelfGo.DOCS),
    (_CONFIG, SelfGo.CONFIG),
)


def class_of(path: str) -> SelfGo:
    name = posixpath.normpath(path).lower()
    return next((kind for rule, kind in _RULES if rule.search(name)), SelfGo.CODE_FIX)


def classes_of(change: Change) -> dict[SelfGo, float]:
    """The share of each kind of work, by changed lines; a binary file or one without changed lines counts as one line."""
    lines: Counter[SelfGo] = Counter()
    for each in change.files:
        lines[class_of(each.path)] += max(each.lines, 1)
    return {kind: count / lines.total() for kind, count in sorted(lines.items())}


def allowed(policy: VerdictPolicy | None) -> Collection[SelfGo]:
    return (policy.self_go if policy is not None else ()) or DEFAULT_SELF_GO


def refusal(change: Change, policy: VerdictPolicy | None) -> str:
    """Why a GO on this change is not the model's to give; '' when it is. Where no kind dominates, every kind must be allowed:
    a rule about workflows is not got round by a refactoring beside them."""
    shares = classes_of(change)
    dominant = [kind for kind, share in shares.items() if share >= DOMINANT]
    barred = [kind for kind in dominant or shares if kind not in allowed(policy)]
    if not barred:
        return ""
    kinds = ", ".join(f"{kind} ({shares[kind]:.0%})" for kind in barred)
    return f"this change is {kinds}, and the task's verdictPolicy lets a model give GO on {', '.join(allowed(policy))} only"
