"""Runs as data: the tables of a trace, as pandas DataFrames and as pictures.

from sim.analysis import load
run = load("out.parquet")
run.tasks.groupby("class")["wait"].describe()
"""

from sim.analysis.load import Run, load

__all__ = ["Run", "load"]
