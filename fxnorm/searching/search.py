"""The search: uniform widths, sensitivities, what follows from them, Optuna, and at last bit after bit taken off the cheapest plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from fxnorm.cost.summary import MEANINGS
from fxnorm.errors import PlanError, UsageError
from fxnorm.evaluation import Progress
from fxnorm.gate.limits import Limits
from fxnorm.gate.verdict import refuse_missing_labels
from fxnorm.planning.options import Options
from fxnorm.searching.allocation import Point, allocations, noise_power
from fxnorm.searching.front import pareto_front
from fxnorm.searching.sampling import Sampling
from fxnorm.searching.space import NARROWER, WIDTH, Choice, Group, Space
from fxnorm.searching.trials import Trial, Trials
from fxnorm.study import Study
from fxnorm.sweeping.executor import Executor, LocalExecutor
from fxnorm.sweeping.grid import fitting_bits
from fxnorm.sweeping.results import write_results
from fxnorm.sweeping.store import Store
from fxnorm.sweeping.sweep import Source, refuse_another
from fxnorm.sweeping.tables import read

KIND: Final = "search"
BATCH: Final = 8
"""Points that are measured side by side; the same on every machine, so that the same seed gives the same points."""


@dataclass(frozen=True)
class Request:
    """What is searched for.

    Attributes
    ----------
    widths
        Bits that formats may have.
    limits
        The gate.
    costs
        Names of `fxnorm.cost.summary.MEANINGS`; the first decides which plan is the cheapest.
    integer_bits
        Of all formats; None: as many as hold every value of the calibration data.
    normalizations, narrower
        See `Space`.
    trials
        Points that Optuna proposes.
    seed
        The same seed gives the same points.
    options
        Other options of every plan, as `Options.make` takes them.

    Raises
    ------
    UsageError
        If there is nothing to choose, no gate, or no such cost.
    """

    widths: tuple[int, ...]
    limits: Limits
    costs: tuple[str, ...] = ("full_adders",)
    integer_bits: int | None = None
    normalizations: tuple[str, ...] = ("pow2",)
    narrower: tuple[int, ...] = (0,)
    trials: int = 100
    seed: int = 0
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.limits.asks:
            raise UsageError("search: needs a gate to meet; give a limit such as --max-drop 0.01 or --min-sqnr 30")
        for name in self.costs:
            if name not in MEANINGS:
                raise UsageError(f"--cost: must be one of {', '.join(MEANINGS)}, not {name!r}")
        if not all(1 <= width <= 32 for width in self.widths) or not self.widths:
            raise UsageError(f"--width: must be widths from 1 to 32, not {list(self.widths)}")
        if 0 not in self.narrower or not all(0 <= bits <= 32 for bits in self.narrower):
            raise UsageError(f"--narrower: must be bits from 0 on, 0 among them, not {list(self.narrower)}")

    def record(self) -> dict[str, Any]:
        """Plain data: what decides the points."""
        return {
            "widths": list(self.widths),
            "limits": {name: value for name, value in vars(self.limits).items() if value is not None},
            "costs": list(self.costs),
            "integer_bits": self.integer_bits,
            "normalizations": list(self.normalizations),
            "narrower": list(self.narrower),
            "trials": self.trials,
            "seed": self.seed,
            "options": self.options,
        }


@dataclass(frozen=True)
class Found:
    """What a search came to.

    Attributes
    ----------
    trials
        All points, in the order in which they were proposed.
    front
        Those that no other one beats in costs and quality, from the cheapest on.
    best
        The cheapest that meets the gate; None where none does.
    uniform
        The cheapest of one width and one normalization everywhere that meets the gate; None likewise.
    sensitivities
        By group and width, what it does to the output alone.
    space
        All points that there could have been.
    """

    trials: tuple[Trial, ...]
    front: tuple[Trial, ...]
    best: Trial | None
    uniform: Trial | None
    sensitivities: dict[Group, dict[int, Point]]
    space: Space


def search(
    source: Source,
    request: Request,
    folder: str | Path,
    *,
    workers: int | None = None,
    storage: str | None = None,
    executor: Callable[[Study], Executor] | None = None,
    progress: Progress | None = None,
) -> tuple[Found, Study]:
    """Look for the cheapest plan that meets a gate; the same call goes on where it was interrupted.

    Every point is a function of the request and of what earlier points gave, so that an interrupted search, whose results are in the run
    folder, comes to the same end as one that was not.

    Parameters
    ----------
    storage
        URL of a database that several machines share; default: a file in the folder, written for who wants to look into it.

    Raises
    ------
    RunError
        If the folder is another run's, or is being written, or cannot be.
    UsageError, UnsupportedError, DataError
        If what is asked for is wrong.
    PlanError
        If no point can be planned.
    """
    refuse_missing_labels(request.limits, source.data.labels is not None, source.data.description)
    with Store(folder) as store:
        record = source.record_of(KIND, request.record(), {})
        if store.begun:
            refuse_another(store.run(), KIND, record["identity"], folder)
        else:
            store.create(record, [])
        study = Study(source.graph, source.data, calibration=source.calibration, progress=progress)
        space = _space(study, request)
        made = LocalExecutor(study, workers) if executor is None else executor(study)

        def told(done: int, known: int) -> None:
            if progress is not None:
                progress(KIND, done, known)

        trials = Trials(store, study, space, request.limits, made, source.reproduce, told)
        sampling = Sampling(space, request.costs, request.seed, Path(folder), storage)
        try:
            found = _Search(trials, space, request, sampling).run()
            sampling.write()
        finally:
            write_results(read(folder))
    return found, study


def _space(study: Study, request: Request) -> Space:
    first = {**request.options, "normalize": request.normalizations[0]}
    base = Options.make("q5.3", **Options.without_idle_multiplier(first))
    network = study.network(base)
    study.check(base)
    bits = request.integer_bits
    if bits is None:
        bits = fitting_bits([(network, study.ranges(base))])
    return Space.of(network, request.widths, bits, request.normalizations, request.narrower, request.options)


class _Search:
    """One search, phase by phase."""

    def __init__(self, trials: Trials, space: Space, request: Request, sampling: Sampling) -> None:
        self._trials, self._space, self._request, self._sampling = trials, space, request, sampling

    def run(self) -> Found:
        space = self._space
        uniform = self._measure(
            [
                (f"all {width} bits{f' {mode}' if len(space.normalizations) > 1 else ''}", space.uniform(width, mode))
                for mode in space.normalizations
                for width in space.widths
            ]
        )
        if not any(trial.done for trial in uniform):
            raise PlanError(f"search: no plan can be made; {uniform[-1].configuration.name}: {uniform[-1].reason}")
        mode = self._best_mode()
        sensitivities = self._sensitivities(mode)
        guesses = allocations(space, sensitivities, mode)
        self._measure([(f"allocation {number}", choice) for number, choice in enumerate(guesses, 1)])
        self._propose()
        self._narrow()
        done = [trial for trial in self._trials if trial.done]
        costs = self._request.costs
        return Found(
            tuple(self._trials),
            tuple(pareto_front([(trial, trial.objectives(costs)) for trial in done])),
            self._cheapest(done),
            self._cheapest([trial for trial in uniform if trial.done]),
            sensitivities,
            space,
        )

    def _measure(self, points: Sequence[tuple[str, Choice]]) -> list[Trial]:
        found = self._trials.measure(points)
        for trial in found:
            self._sampling.tell(trial)
        return found

    def _best_mode(self) -> str:
        """The normalization whose uniform plans have the best SQNR, over all widths together."""
        modes = self._space.normalizations
        if len(modes) == 1:
            return modes[0]
        sums = {}
        for mode in modes:
            choices = [self._space.uniform(width, mode) for width in self._space.widths]
            trials = self._trials.measure([("", choice) for choice in choices])
            sums[mode] = sum(min(trial.sqnr_db, 300.0) for trial in trials if trial.done)
        return max(modes, key=lambda mode: sums[mode])

    def _sensitivities(self, mode: str) -> dict[Group, dict[int, Point]]:
        """One group narrow, all others as wide as can be."""
        space = self._space
        points: list[tuple[Group, int, Choice]] = []
        for group in space.groups:
            for width in space.widths:
                points.append((group, width, {**space.uniform(space.widths[-1], mode), f"{WIDTH}:{group.name}": width}))
        trials = self._measure([(f"{group.name} {width} bits", choice) for group, width, choice in points])
        found: dict[Group, dict[int, Point]] = {group: {} for group in space.groups}
        for (group, width, _), trial in zip(points, trials, strict=True):
            if trial.done:
                noise = noise_power(trial.metrics["sqnr_db"])
                found[group][width] = Point(noise, trial.cost[self._request.costs[0]])
        return found

    def _propose(self) -> None:
        """Points that Optuna proposes, some at a time."""
        left = self._request.trials - self._sampling.proposed()
        while left > 0:
            asked = self._sampling.ask(min(BATCH, left))
            trials = self._trials.measure([(f"proposal {number}", choice) for number, choice in asked])
            for (number, _), trial in zip(asked, trials, strict=True):
                self._sampling.answer(number, trial)
            left -= len(asked)
        for name, choice in self._sampling.others():
            self._trials.measure([(name, choice)])

    def _narrow(self) -> None:
        """Take one step off the cheapest plan as long as the gate is met: a width, or a bit of an accumulator."""
        best = self._cheapest([trial for trial in self._trials if trial.done])
        while best is not None:
            neighbours = self._measure([("narrowed", choice) for choice in self._narrower(best.choice)])
            cheaper = self._cheapest([trial for trial in neighbours if trial.done])
            if cheaper is None or self._price(cheaper) >= self._price(best):
                return
            best = cheaper

    def _narrower(self, choice: Choice) -> list[Choice]:
        found: list[Choice] = []
        for name, values in self._space.parameters.items():
            kind = name.partition(":")[0]
            if kind not in (WIDTH, NARROWER):
                continue
            # Fewer bits: the next value below for a width, above for what is taken off.
            index = values.index(choice[name]) + (1 if kind == NARROWER else -1)
            if 0 <= index < len(values):
                found.append({**choice, name: values[index]})
        return found

    def _price(self, trial: Trial) -> tuple[float, ...]:
        return (*(trial.cost[name] for name in self._request.costs), -trial.quality)

    def _cheapest(self, trials: Sequence[Trial]) -> Trial | None:
        passed = [trial for trial in trials if trial.passed]
        return min(passed, key=lambda trial: (*self._price(trial), trial.configuration.number), default=None)
