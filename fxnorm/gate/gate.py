"""A gate as a command line has it: limits, a baseline, and where its verdict goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

from fxnorm.errors import UsageError
from fxnorm.gate.baseline import Baseline
from fxnorm.gate.limits import Limits, option
from fxnorm.gate.report import Outlets, tell
from fxnorm.gate.subject import Subject
from fxnorm.gate.verdict import Verdict, judge, refuse_missing_labels
from fxnorm.report.files import Delivery

if TYPE_CHECKING:
    from fxnorm.data import Data

LIMITS: Final = tuple(entry.name for entry in fields(Limits))


@dataclass
class Gate:
    """What is asked of a run. A gate of no limits asks nothing, and does nothing.

    Attributes
    ----------
    limits
        What is asked for.
    baseline
        File of earlier results.
    baseline_other_model
        Whether these may be another model's.
    junit, summary
        Files for the verdict.
    annotations
        Whether GitHub's annotations are printed.
    """

    limits: Limits
    baseline: str | None = None
    baseline_other_model: bool = False
    junit: str | None = None
    summary: str | None = None
    annotations: bool = False
    _outlets: Outlets | None = None
    _before: Baseline | None = None
    _verdict: Verdict | None = None
    _model: str = ""

    @classmethod
    def split(cls, given: Mapping[str, Any]) -> tuple[Gate, dict[str, Any]]:
        """Gate among the options of a command, and the other ones.

        Raises
        ------
        UsageError
            If an option of a gate is there without a gate.
        """
        own = {entry.name for entry in fields(cls) if not entry.name.startswith("_")} - {"limits"}
        limits = Limits(**{name: given[name] for name in LIMITS if given.get(name) is not None})
        gate = cls(limits, **{name: value for name, value in given.items() if name in own})
        gate._refuse_idle()
        return gate, {name: value for name, value in given.items() if name not in own and name not in LIMITS}

    def __bool__(self) -> bool:
        return self.limits.asks or self.baseline is not None

    @property
    def sources(self) -> list[str]:
        """Files that are read."""
        return [] if self.baseline is None else [self.baseline]

    def promise(self, delivery: Delivery) -> None:
        """Promise the files of the verdict, and read the baseline, before any work is done."""
        if self:
            self._outlets = Outlets.promise(delivery, self.junit, self.summary)
        if self.baseline is not None:
            self._before = Baseline.read(self.baseline)

    def prepare(self, model: str, data: Data) -> None:
        """Refuse what cannot be judged, before any work is done.

        Parameters
        ----------
        model
            SHA-256 of the model.
        data
            What is run.

        Raises
        ------
        DataError
            If labels are missing, or the baseline was made with something else.
        """
        refuse_missing_labels(self.limits, data.labels is not None, data.description)
        if self._before is not None:
            self._before.check(model, data.sha256, other_model=self.baseline_other_model)

    def judge(self, subjects: Sequence[Subject], record: dict[str, Any]) -> None:
        """Judge, make the files, and add the verdict to the record of the run or the sweep."""
        if not self:
            return
        self._verdict = judge(self.limits, subjects, self._before)
        self._model = str(record["model"]["path"])
        record["gate"] = self._verdict.record()
        if self._outlets is not None:
            model, data = record["model"], record["data"]
            samples = record.get("samples", data.get("samples"))
            facts = [
                f"model {self._model}, SHA-256 {model['sha256']}",
                f"data {data['description']}, {samples} samples, SHA-256 {data['sha256']}",
            ]
            self._outlets.write(self._verdict, self._model or "fxnorm", facts)

    def tell(self, *, quiet: bool) -> None:
        """Say what came of it, last of all.

        Parameters
        ----------
        quiet
            Whether standard output holds JSON and nothing else.

        Raises
        ------
        GateError
            If a limit is missed.
        """
        if self._verdict is not None:
            tell(self._verdict, model=self._model, annotate=self.annotations, quiet=quiet)

    def _refuse_idle(self) -> None:
        if not self:
            asked = [name for name in ("junit", "summary", "annotations") if getattr(self, name)]
            if asked:
                raise UsageError(
                    f"{option(asked[0])}: goes with a gate; give a limit such as --min-accuracy, or --baseline"
                )
        if self.baseline is None:
            asked = [name for name in ("baseline_drop", "baseline_sqnr_drop") if getattr(self.limits, name) is not None]
            asked += ["baseline_other_model"] if self.baseline_other_model else []
            if asked:
                raise UsageError(f"{option(asked[0])}: goes with --baseline; name a file of earlier results")
