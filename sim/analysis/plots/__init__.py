"""Pictures of a run, one kind a file: each draws into an Axes and says in its title what there is to see."""

from sim.tracefile import Missing

try:
    import matplotlib
    import pandas
except ImportError as error:
    raise Missing(f"plots need {error.name}: pip install 'llmkube-foreman[analysis]'") from None

assert matplotlib and pandas
