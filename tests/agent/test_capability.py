"""What a machine offers: probed on macOS, measured or declared elsewhere."""

from __future__ import annotations

import pytest

from foreman.agent.capability import GIB, Declared, bytes_to_gb, clamp_int32, probe
from foreman.api import NodeAccelerator
from foreman.api.meta import INT32_MAX

VM_STAT = """Mach Virtual Memory Statistics: (page size of 16384 bytes)
Pages free:                              131072.
Pages active:                           1000000.
Pages inactive:                          131072.
Pages speculative:                        65536.
Pages wired down:                        200000.
"""
DARWIN = {"sysctl -n hw.memsize": f"{64 * GIB}\n", "vm_stat": VM_STAT}
LINUX = {"/proc/meminfo": "MemTotal:       65843228 kB\nMemFree:         1 kB\nMemAvailable:   33554432 kB\n"}
FLAGS = Declared(installed_models=("qwen3", "gemma"), max_context_tokens=131072, tokens_per_second=42)


def broken(what):
    raise OSError(f"{what}: not found")


@pytest.mark.parametrize(
    ("count", "gib"),
    [(0, 0), (GIB - 1, 0), (GIB, 1), (GIB * 3 // 2, 1), (64 * GIB, 64), (GIB * 2**31, INT32_MAX), (-GIB, 0)],
)
def test_bytes_to_gb(count, gib):
    """TestBytesToGB: whole GiB rounded down, saturated to int32."""
    assert bytes_to_gb(count) == gib


@pytest.mark.parametrize(
    ("value", "clamped"),
    [(0, 0), (7, 7), (-1, 0), (INT32_MAX, INT32_MAX), (INT32_MAX + 1, INT32_MAX), (2**63, INT32_MAX), (-(2**63), 0)],
)
def test_clamp_int32(value, clamped):
    """TestClampInt32."""
    assert clamp_int32(value) == clamped


def test_darwin_defaults_the_accelerator_to_metal():
    """Darwin_DefaultsAcceleratorToMetal."""
    assert probe("Darwin", Declared(), DARWIN.__getitem__).accelerator is NodeAccelerator.METAL


def test_darwin_honours_another_accelerator():
    """Darwin_HonorsExplicitAcceleratorOverride."""
    assert probe("Darwin", Declared(accelerator="none"), DARWIN.__getitem__).accelerator is NodeAccelerator.NONE


@pytest.mark.parametrize(("system", "reader"), [("Darwin", DARWIN), ("Linux", LINUX), ("FreeBSD", {})])
def test_what_flags_declare_is_passed_on(system, reader):
    """Darwin_PropagatesFlagsuppliedFields, Other_PropagatesAllFlagSuppliedFields (models, context, speed)."""
    found = probe(system, FLAGS, reader.__getitem__)
    assert found.installed_models == ("qwen3", "gemma")
    assert (found.max_context_tokens, found.tokens_per_second) == (131072, 42)


def test_darwin_reads_its_memory():
    """Darwin_LiveMemoryProbeIsSane, on recorded output: free, inactive and speculative pages are available."""
    found = probe("Darwin", Declared(), DARWIN.__getitem__)
    assert (found.total_ram_gb, found.available_ram_gb) == (64, 5)
    assert 0 < found.available_ram_gb <= found.total_ram_gb


def test_elsewhere_the_declared_ram_is_total_and_available():
    """Other_PropagatesAllFlagSuppliedFields (RAM and accelerator)."""
    found = probe("Linux", Declared(accelerator="cuda", total_ram_gb=128), broken)
    assert (found.accelerator, found.total_ram_gb, found.available_ram_gb) == (NodeAccelerator.CUDA, 128, 128)


@pytest.mark.parametrize("system", ["Linux", "FreeBSD"])
def test_elsewhere_no_accelerator_stays_none(system):
    """Other_HonorsEmptyAccelerator."""
    assert probe(system, Declared(), LINUX.__getitem__).accelerator is None


def test_linux_measures_what_is_not_declared():
    found = probe("Linux", Declared(), LINUX.__getitem__)
    assert (found.total_ram_gb, found.available_ram_gb) == (62, 32)


@pytest.mark.parametrize("system", ["Darwin", "Linux"])
@pytest.mark.parametrize("read", [broken, lambda what: "", lambda what: "nonsense"])
def test_a_probe_that_fails_reports_no_ram_and_does_not_fail_the_agent(system, read):
    found = probe(system, FLAGS, read)
    assert (found.total_ram_gb, found.available_ram_gb) == (0, 0)
    assert found.installed_models == ("qwen3", "gemma")


def test_absurd_flags_are_clamped():
    found = probe("Linux", Declared(total_ram_gb=2**40, max_context_tokens=-5, tokens_per_second=2**31), broken)
    assert (found.total_ram_gb, found.max_context_tokens, found.tokens_per_second) == (INT32_MAX, 0, INT32_MAX)
