"""Optuna: a multi-objective study that is told every point, and asked for new ones."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from fxnorm.errors import UsageError
from fxnorm.searching.front import pareto_front
from fxnorm.searching.space import Choice, Space
from fxnorm.searching.trials import Trial

FILE: Final = "optuna.sqlite"
STUDY: Final = "fxnorm"
INSTALL: Final = "install it with `pip install 'fxnorm[search]'`"
GATE: Final = "gate"
"""Name of the constraint."""


class Sampling:
    """A study whose parameters are those of a space.

    Without a shared database the study is made anew from the run's results each time, and written to a file of the run folder at the end
    for who wants to look into it: nothing in it is needed to go on, and proposals depend on the seed and on results alone.

    Parameters
    ----------
    costs
        Objectives beside the quality.
    seed
        Of the sampler.
    folder
        Of the run.
    storage
        URL of a database that several machines share.

    Raises
    ------
    UsageError
        If Optuna is missing, or the database cannot be used.
    """

    def __init__(self, space: Space, costs: Sequence[str], seed: int, folder: Path, storage: str | None) -> None:
        try:
            import optuna
        except ImportError:
            raise UsageError(f"search: needs Optuna, and it is not installed; {INSTALL}") from None
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._optuna, self._costs = optuna, tuple(costs)
        self._shared = storage is not None
        self._asked: dict[int, Any] = {}
        self._told: set[str] = set()
        self._distributions = {name: self._distribution(values) for name, values in space.parameters.items()}
        identity = json.dumps([space.parameters, self._costs], sort_keys=True)
        self._place = folder / FILE
        try:
            self._storage = optuna.storages.get_storage(storage)
            self._study = optuna.create_study(
                storage=self._storage,
                study_name=STUDY,
                directions=["minimize"] * (len(self._costs) + 1),
                load_if_exists=self._shared,
            )
            begun = len(self._study.get_trials(deepcopy=False))
            with warnings.catch_warnings():
                # It says that proposals for several parameters together are experimental; tests hold what they give.
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                self._study.sampler = optuna.samplers.TPESampler(
                    seed=seed + begun, n_startup_trials=0, multivariate=True
                )
        except Exception as error:
            # Drivers of databases have errors of their own.
            raise UsageError(
                f"--storage: cannot be used: {type(error).__name__}: {str(error).splitlines()[0]}"
            ) from error
        if self._shared:
            known = self._study.user_attrs.get("space")
            if known is not None and known != identity:
                raise UsageError("--storage: holds a search of another space; give it a database of its own")
            self._study.set_user_attr("space", identity)

    def _distribution(self, values: tuple[int | str, ...]) -> Any:
        """Widths that follow one another are a range, in which near ones are alike; other values have no order."""
        kinds = self._optuna.distributions
        numbers = [value for value in values if isinstance(value, int)]
        if len(numbers) == len(values) and numbers == list(range(numbers[0], numbers[-1] + 1)):
            return kinds.IntDistribution(numbers[0], numbers[-1])
        return kinds.CategoricalDistribution(values)

    def tell(self, trial: Trial) -> None:
        """Add a point that was not proposed by the study."""
        if not trial.done or trial.configuration.id in self._told:
            return
        self._told.add(trial.configuration.id)
        if self._shared and any(own.user_attrs.get("id") == trial.configuration.id for own in self._complete()):
            return
        self._study.add_trial(
            self._optuna.trial.create_trial(
                params=dict(trial.choice),
                distributions=self._distributions,
                values=trial.objectives(self._costs),
                user_attrs=_attributes(trial),
                constraints={GATE: trial.violation},
            )
        )

    def ask(self, count: int) -> list[tuple[int, Choice]]:
        """New points, each with its number."""
        found: list[tuple[int, Choice]] = []
        for _ in range(count):
            asked = self._study.ask(self._distributions)
            asked.set_user_attr("proposed", True)
            self._asked[asked.number] = asked
            found.append((asked.number, dict(asked.params)))
        return found

    def answer(self, number: int, trial: Trial) -> None:
        """What came of a point that was asked for."""
        asked = self._asked.pop(number)
        self._told.add(trial.configuration.id)
        if not trial.done:
            self._study.tell(asked, state=self._optuna.trial.TrialState.FAIL)
            return
        for name, value in _attributes(trial).items():
            asked.set_user_attr(name, value)
        asked.set_constraint(GATE, trial.violation)
        self._study.tell(asked, trial.objectives(self._costs))

    def write(self) -> None:
        """Write the study into the run folder, where no shared database has it."""
        if self._shared:
            return
        self._place.unlink(missing_ok=True)
        self._optuna.copy_study(
            from_study_name=STUDY,
            from_storage=self._storage,
            to_storage=f"sqlite:///{self._place.absolute()}",
        )

    def proposed(self) -> int:
        """How many points were asked for, by whatever machine."""
        return sum("proposed" in own.user_attrs for own in self._study.get_trials(deepcopy=False))

    def others(self) -> list[tuple[str, Choice]]:
        """Points of other machines that no other one beats, with a name each."""
        foreign = [own for own in self._complete() if own.user_attrs.get("id") not in self._told]
        if not foreign:
            return []
        front = pareto_front([(own, tuple(own.values)) for own in self._complete()])
        return [(f"proposal {own.number}", dict(own.params)) for own in front if own in foreign]

    def _complete(self) -> list[Any]:
        return self._study.get_trials(deepcopy=False, states=(self._optuna.trial.TrialState.COMPLETE,))


def _attributes(trial: Trial) -> dict[str, Any]:
    return {"id": trial.configuration.id, "name": trial.configuration.name, "violation": trial.violation}
