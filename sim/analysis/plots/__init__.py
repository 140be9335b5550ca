"""Pictures of a run, one kind a file: each draws into an Axes and says in its title what there is to see."""

from importlib.util import find_spec

from sim.extras import Missing

for library in ("matplotlib", "pandas"):
    if find_spec(library) is None:
        raise Missing("a plot", "analysis", library)
