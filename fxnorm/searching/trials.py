"""Points of a search, measured: each once, whoever asks for it and however often, in a run folder like that of a sweep."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, Final

from fxnorm.errors import FxnormError
from fxnorm.gate.limits import Limits
from fxnorm.gate.subject import Subject
from fxnorm.gate.verdict import judge
from fxnorm.planning.options import Options
from fxnorm.searching.space import Choice, Space, exact_accumulators
from fxnorm.study import Study
from fxnorm.sweeping.configuration import Configuration
from fxnorm.sweeping.executor import Executor
from fxnorm.sweeping.measure import DONE
from fxnorm.sweeping.store import Store

LEAST_VIOLATION: Final = 1e-9


@dataclass(frozen=True)
class Trial:
    """A point and what it gave.

    Attributes
    ----------
    configuration
        As the run folder has it.
    choice
        The point.
    metrics, cost
        Columns of its row; empty for one that cannot be planned.
    reason
        Why it cannot be.
    violation
        By how much the gate is missed, all limits together; 0 where it is met.
    """

    configuration: Configuration
    choice: Choice
    metrics: Mapping[str, Any]
    cost: Mapping[str, float]
    reason: str | None
    violation: float

    @property
    def done(self) -> bool:
        """Whether it was run."""
        return bool(self.metrics)

    @property
    def passed(self) -> bool:
        """Whether it meets the gate."""
        return self.done and self.violation == 0.0

    @property
    def sqnr_db(self) -> float:
        """SQNR of the worst output; infinite where there is no error."""
        value = self.metrics["sqnr_db"]
        return float("inf") if value is None else float(value)

    @property
    def quality(self) -> float:
        """Share of right labels, or without labels the SQNR, a number in any case."""
        accuracy = self.metrics["accuracy"]
        return min(self.sqnr_db, 1000.0) if accuracy is None else float(accuracy)

    def objectives(self, costs: Sequence[str]) -> tuple[float, ...]:
        """What is made as small as can be: costs by name, and the quality's opposite."""
        return (*(self.cost[name] for name in costs), -self.quality)


class Trials:
    """Measures points.

    Parameters
    ----------
    store, study, space
        Where rows go, the network with its samples, and what points mean.
    limits
        The gate.
    executor
        What computes.
    reproduce
        Makes the command line that runs a configuration.
    told
        Called with the number of points that are done and how many are known to come.
    """

    def __init__(
        self,
        store: Store,
        study: Study,
        space: Space,
        limits: Limits,
        executor: Executor,
        reproduce: Callable[[Options], str],
        told: Callable[[int, int], None],
    ) -> None:
        self._store, self._study, self._space = store, study, space
        self._limits, self._executor, self._reproduce, self._told = limits, executor, reproduce, told
        self._configurations = {one.id: one for one in store.configurations()}
        self._rows: dict[str, tuple[Mapping[str, Any], Mapping[str, float] | None, Any, str | None]] = {
            row.configuration.id: (row.metrics if row.status == DONE else {}, row.cost, row.record, row.reason)
            for row in store.rows()
        }
        self.all: dict[str, Trial] = {}

    def measure(self, points: Sequence[tuple[str, Choice]]) -> list[Trial]:
        """Points with a name each, in order; one that was measured before is not run again."""
        made = [self._configuration(name, choice) for name, choice in points]
        fresh = {one.id: one for one in made if one.id not in self._configurations}
        if fresh:
            self._store.add(list(fresh.values()))
            self._configurations.update(fresh)
        left = [self._configurations[id_] for id_ in dict.fromkeys(one.id for one in made) if id_ not in self._rows]
        self._told(len(self._rows), len(self._rows) + len(left))
        with closing(self._executor.run(left, self._store.begin)) as outcomes:
            for configuration, outcome in outcomes:
                self._store.finish(configuration, outcome)
                metrics = outcome.metrics if outcome.status == DONE else {}
                self._rows[configuration.id] = (metrics, outcome.cost, outcome.record, outcome.reason)
                self._told(len(self._rows), len(self._rows) + sum(one.id not in self._rows for one in left))
        return [self._trial(one.id, choice) for one, (_, choice) in zip(made, points, strict=True)]

    def _configuration(self, name: str, choice: Choice) -> Configuration:
        accumulators, reason = None, None
        if self._space.needs_accumulators(choice):
            try:
                accumulators = exact_accumulators(self._study.plan(self._space.options(choice)))
            except FxnormError as error:
                reason = str(error)
        options = self._space.options(choice, accumulators)
        number = len(self._configurations) + 1
        one = Configuration.of(number, {}, {}, options, reason, self._reproduce)
        known = self._configurations.get(one.id)
        return known or replace(one, number=self._number(), name=name)

    def _number(self) -> int:
        self._last = max([getattr(self, "_last", -1), *(one.number for one in self._configurations.values())]) + 1
        return self._last

    def _trial(self, id_: str, choice: Choice) -> Trial:
        if id_ not in self.all:
            metrics, cost, record, reason = self._rows[id_]
            configuration = self._configurations[id_]
            violation = violation_of(self._limits, metrics, configuration.name, record) if metrics else float("inf")
            self.all[id_] = Trial(configuration, dict(choice), metrics, cost or {}, reason, violation)
        return self.all[id_]

    def __iter__(self) -> Iterator[Trial]:
        return iter(sorted(self.all.values(), key=lambda trial: trial.configuration.number))


def violation_of(limits: Limits, metrics: Mapping[str, Any], name: str, record: Mapping[str, Any]) -> float:
    """By how much a gate is missed: shares as they are, decibels in hundreds; 0 where the gate's verdict is that it is met."""
    if judge(limits, [Subject(name, record)], None).passed:
        return 0.0
    missed = [LEAST_VIOLATION]
    accuracy, fp32 = metrics["accuracy"], metrics["accuracy_fp32"]
    if limits.min_accuracy is not None:
        missed.append(limits.min_accuracy - accuracy)
    if limits.max_drop is not None:
        missed.append(fp32 - accuracy - limits.max_drop)
    if limits.min_agreement is not None and metrics["agreement"] is not None:
        missed.append(limits.min_agreement - metrics["agreement"])
    if limits.min_sqnr is not None and metrics["sqnr_db"] is not None:
        missed.append((limits.min_sqnr - metrics["sqnr_db"]) / 100.0)
    if limits.max_overflow is not None and metrics["overflow_count"] > limits.max_overflow:
        missed.append(metrics["overflow_fraction"])
    return sum(value for value in missed if value > 0.0)
