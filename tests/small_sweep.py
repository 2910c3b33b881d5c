"""A network of a few neurons, its labelled samples, and sweeps of it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from small_models import dense, samples, save

import fxnorm as fx
from fxnorm.data import Data
from fxnorm.study import Study
from fxnorm.sweeping.configuration import Configuration
from fxnorm.sweeping.executor import Begin, LocalExecutor
from fxnorm.sweeping.grid import Grid
from fxnorm.sweeping.measure import Outcome
from fxnorm.sweeping.sweep import Source
from fxnorm.sweeping.sweep import sweep as run_sweep
from fxnorm.sweeping.tables import Run


@dataclass(frozen=True)
class Small:
    """Files of a model and of its samples."""

    model: Path
    data: Path
    folder: Path

    @classmethod
    def make(cls, folder: Path, *, seed: int = 1, labels: bool = True) -> Small:
        model = save(dense(), folder / "dense.onnx")
        given = samples(40, seed=seed)
        graph = fx.load(model)
        right = fx.reference(graph, given)["y"].argmax(axis=1)
        right[::10] = (right[::10] + 1) % 3
        arrays = {"x": given, **({"labels": right} if labels else {})}
        np.savez(folder / "data.npz", **arrays)  # type: ignore[arg-type]
        return cls(model, folder / "data.npz", folder / "run")

    def source(self) -> Source:
        graph = fx.load(self.model)
        words = (str(self.model), "--data", str(self.data))
        return Source(graph, Data.open(self.data, graph), paths={"model": words[0], "data": words[2]}, words=words)

    def sweep(self, executor: Callable[[Study], LocalExecutor] | None = None, **grid: object) -> Run:
        asked = Grid.read({"normalize": "none,pow2", **grid}, *([] if "format" in grid else ["4:8"]))
        return run_sweep(self.source(), asked, self.folder, executor=executor)


class Breaking(LocalExecutor):
    """Ends with an error after some outcomes."""

    def __init__(self, study: Study, outcomes: int, error: BaseException) -> None:
        super().__init__(study, 1)
        self.left, self.error = outcomes, error

    def run(
        self, configurations: Sequence[Configuration], begin: Begin
    ) -> Generator[tuple[Configuration, Outcome], None, None]:
        for found in super().run(configurations, begin):
            if not self.left:
                raise self.error
            self.left -= 1
            yield found


class Counting(LocalExecutor):
    """Notes what is computed."""

    def __init__(self, study: Study, seen: list[str]) -> None:
        super().__init__(study, 2)
        self.seen = seen

    def run(
        self, configurations: Sequence[Configuration], begin: Begin
    ) -> Generator[tuple[Configuration, Outcome], None, None]:
        def noted(those: Sequence[Configuration]) -> None:
            begin(those)
            self.seen += [one.name for one in those]

        yield from super().run(configurations, noted)
