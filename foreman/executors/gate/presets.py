"""What a language's gate runs: a preset, overlaid with what the task's profile says."""

from __future__ import annotations

from foreman.api.gate import GateCommands, GateLanguage, GateProfile

PRESETS: dict[GateLanguage, GateProfile] = {
    GateLanguage.GO: GateProfile(
        language=GateLanguage.GO,
        image="golang:1.26",
        source_extensions=(".go",),
        commands=GateCommands(
            format="gofmt -l .",
            lint="golangci-lint run ./...",
            build="go build ./...",
            test="go test ./...",
            codegen_check="make manifests && make chart-crds",
        ),
    ),
    GateLanguage.PYTHON: GateProfile(
        language=GateLanguage.PYTHON,
        image="python:3.13",
        source_extensions=(".py",),
        commands=GateCommands(
            format="ruff format --check .",
            lint="ruff check .",
            build="python -m compileall .",
            test="pytest -q",
        ),
    ),
    GateLanguage.RUST: GateProfile(
        language=GateLanguage.RUST,
        image="rust:1",
        source_extensions=(".rs",),
        commands=GateCommands(format="cargo fmt --check", lint="cargo clippy", build="cargo build", test="cargo test"),
    ),
    GateLanguage.NODE: GateProfile(
        language=GateLanguage.NODE,
        image="node:22",
        source_extensions=(".js", ".ts"),
        commands=GateCommands(format="prettier --check .", lint="eslint .", test="npm test"),
    ),
    GateLanguage.GENERIC: GateProfile(language=GateLanguage.GENERIC),
}

# Git's own patterns of what is a test, where the profile has no test root.
TESTS: dict[GateLanguage, tuple[str, ...]] = {
    GateLanguage.GO: ("**/*_test.go", "**/testdata/**"),
    GateLanguage.PYTHON: ("**/test_*.py", "**/*_test.py", "**/tests/**", "**/conftest.py"),
    GateLanguage.RUST: ("**/tests/**",),
    GateLanguage.NODE: ("**/*.test.*", "**/*.spec.*", "**/__tests__/**"),
    GateLanguage.GENERIC: ("**/test/**", "**/tests/**"),
}


def resolved(profile: GateProfile | None) -> GateProfile:
    """The preset of the profile's language (none: go), overlaid with each of its fields that is not empty."""
    given = profile or GateProfile()
    language = given.language or GateLanguage.GO
    preset = PRESETS[language]
    own, commands = given.commands or GateCommands(), preset.commands or GateCommands()
    overlaid = {name: getattr(own, name) or getattr(commands, name) for name in GateCommands.model_fields}
    return preset.evolve(
        image=given.image or preset.image,
        source_extensions=given.source_extensions or preset.source_extensions,
        test_layout=given.test_layout or preset.test_layout,
        commands=GateCommands(**overlaid),
    )


def patterns_of_tests(profile: GateProfile) -> tuple[str, ...]:
    """Git pathspecs (glob) of the tests of a resolved profile."""
    layout = profile.test_layout
    if layout and layout.test_root:
        return (layout.test_root.strip("/") + "/**",)
    return TESTS[profile.language or GateLanguage.GO]
