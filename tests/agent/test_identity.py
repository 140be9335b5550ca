"""Names that come from outside: hostnames and comma-separated flags."""

from __future__ import annotations

import pytest

from foreman.agent.identity import instance_of, same_machine, sanitize_name, split_csv


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("mac-studio", "mac-studio"),
        ("Mac-Studio", "mac-studio"),
        ("mac.local", "mac-local"),
        ("Chris's MacBook Pro", "chris-s-macbook-pro"),
        ("gpu_box_3", "gpu-box-3"),
        ("-edge-", "edge"),
        ("...dots...", "dots"),
        ("a  &  b", "a-b"),
        ("büro", "b-ro"),
        ("", "fleetnode"),
        ("!!!", "fleetnode"),
        ("x" * 62 + "-" + "y" * 20, "x" * 62),
    ],
)
def test_sanitize_name(raw, name):
    """TestSanitizeName: 12 rows."""
    assert sanitize_name(raw) == name


@pytest.mark.parametrize(
    ("raw", "parts"),
    [
        ("", ()),
        ("a", ("a",)),
        ("a,b", ("a", "b")),
        (" a , b ", ("a", "b")),
        ("a,,b", ("a", "b")),
        (",a,", ("a",)),
        (" , ,", ()),
    ],
)
def test_split_csv(raw, parts):
    """TestSplitCSV: 7 rows."""
    assert split_csv(raw) == parts


def test_two_lives_on_one_machine_are_told_from_two_machines():
    assert same_machine(instance_of("mac", "1"), instance_of("mac", "2"))
    assert not same_machine(instance_of("mac", "1"), instance_of("mac.1", "1"))
    assert not same_machine(instance_of("site/mac", "1"), instance_of("mac", "1"))
