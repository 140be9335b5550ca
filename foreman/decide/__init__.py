"""Decisions: plain functions and values, snapshot in, decision out. No clock, no I/O, no randomness, no await."""
