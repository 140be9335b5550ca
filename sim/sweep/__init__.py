"""Sweeps: the same scenario with some of its fields varied, over many seeds, as one table."""
