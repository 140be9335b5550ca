"""A sweep from Python, as a pandas DataFrame: for notebooks and scripts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sim.sweep.axis import Axis
from sim.sweep.cell import Cell, run
from sim.sweep.grid import grid
from sim.sweep.picture import Picture, picture
from sim.sweep.sweep import Outcome
from sim.sweep.workers import processes


def table(
    file: str,
    vary: Mapping[str, Iterable[object]],
    seeds: int = 10,
    sets: Sequence[str] = (),
    warm_up: int = 0,
    jobs: int | None = None,
    violations: bool = False,
) -> Any:
    """Run a scenario (a file, or the name of one that ships) in every combination of `vary`, each under `seeds` seeds.

    A row for each run: `vary.PATH` columns, `seed`, and all its numbers. `warm_up`: microseconds, or AUTO. `violations`:
    also of runs that violate an invariant. Raises BadScenario, and RuntimeError for the first run that fails.
    """
    import pandas

    axes = [Axis(path, tuple(map(str, values))) for path, values in vary.items()]
    settings = grid(file, axes, sets)
    cells = [Cell(each.scenario, each.vary, seed, warm_up) for seed in range(seeds) for each in settings]
    if jobs == 1:
        rows = list(map(run, cells))
    else:
        with processes(jobs) as workers:
            rows = [row for _, row in workers.run(cells)]
    outcome = Outcome(rows, {each.path: each.values for each in axes})
    for failure in outcome.failures:
        if violations and failure.verdict in ("safety", "liveness"):
            continue
        raise RuntimeError(f"{failure.vary} --seed {failure.seed}: {failure.verdict}: {failure.error}")
    place = {tuple(map(str, each.vary.values())): number for number, each in enumerate(settings)}
    rows.sort(key=lambda row: (place[tuple(str(row[f"vary.{each.path}"]) for each in axes)], row["seed"]))
    return pandas.DataFrame(rows)


def drawn(frame: Any, metrics: Sequence[str]) -> Picture:
    """A panel for each metric over the first thing varied, a line for each setting of the others."""
    return picture(_outcome(frame), metrics)


def means(frame: Any, metrics: Sequence[str]) -> Any:
    """Per setting, the mean of each metric and half its 95 % interval: columns METRIC and `METRIC ±`."""
    import pandas

    from sim.sweep.estimate import estimate

    keys = [name for name in frame.columns if name.startswith("vary.")]
    rows = []
    for values, group in frame.groupby(keys, sort=False):
        row = dict(zip((key.removeprefix("vary.") for key in keys), values, strict=True))
        for metric in metrics:
            found = estimate(list(group[metric].fillna(0)))
            row |= {metric: found.mean, f"{metric} ±": found.half}
        rows.append(row)
    return pandas.DataFrame(rows)


def compared(frame: Any, path: str, metrics: Sequence[str]) -> Any:
    """Each value of what was varied at `path` against its first one, seed by seed, all else equal: the mean difference, half
    its 95 % interval, and whether it is `certain` (the interval leaves 0 out)."""
    import pandas

    outcome = _outcome(frame)
    others = [each for each in outcome.axes if each != path]
    return pandas.DataFrame(
        dict(zip(others, each.rest, strict=True))
        | {path: each.other, "against": each.base, "metric": each.metric}
        | {"difference": each.by.mean, "±": each.by.half, "certain": each.by.certain}
        for each in outcome.differences(path, metrics)
    )


def _outcome(frame: Any) -> Outcome:
    keys = [name for name in frame.columns if name.startswith("vary.")]
    return Outcome(
        frame.to_dict("records"), {key.removeprefix("vary."): list(map(str, frame[key].unique())) for key in keys}
    )
