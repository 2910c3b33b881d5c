"""What `fxnorm search` does, once the command line is read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fxnorm.commands import Inputs, sources
from fxnorm.errors import UsageError
from fxnorm.gate.limits import Limits
from fxnorm.planning.settings import settings
from fxnorm.report.files import Delivery
from fxnorm.report.output import Output
from fxnorm.report.progress import progress_bars
from fxnorm.searching.deliverables import front_record, write_front
from fxnorm.searching.search import Request
from fxnorm.searching.search import search as run_search
from fxnorm.searching.show import print_search, verdict
from fxnorm.sweeping.alternatives import alternatives, numbers
from fxnorm.sweeping.cluster import cluster
from fxnorm.sweeping.sweep import Source

LIMITS = ("min_accuracy", "max_drop", "min_sqnr", "min_agreement", "max_overflow")


def search(
    *,
    output: str,
    width: str,
    integer_bits: int | None,
    narrower: str,
    cost: Sequence[str],
    trials: int,
    search_seed: int,
    storage: str | None,
    workers: int | None,
    dask: str | None,
    json_file: str | None,
    words: Sequence[str],
    **given: Any,
) -> int:
    """`fxnorm search`; returns the exit code, 1 where no plan meets the gate."""
    limits = Limits(**{name: given.pop(name) for name in LIMITS})
    inputs, chosen = Inputs.split(given)
    inputs.check("search")
    found = settings({**chosen, "format": None}, needs_format=False)
    found.pop("format", None)
    request = Request(
        widths=tuple(numbers("--width", width)),
        limits=limits,
        costs=tuple(cost) or ("full_adders",),
        integer_bits=integer_bits,
        normalizations=tuple(alternatives(found.pop("normalize", None) or "pow2")),
        narrower=tuple(numbers("--narrower", narrower)),
        trials=trials,
        seed=search_seed,
        options={name: list(value) if isinstance(value, tuple) else value for name, value in found.items() if value},
    )
    if inputs.data is None:
        raise UsageError("search: needs --data, samples that tell a good plan from a bad one")
    with (
        cluster(dask, workers) as executor,
        Delivery(sources(inputs, chosen)) as delivery,
        progress_bars() as progress,
    ):
        said = Output(json_file, delivery)
        graph = inputs.graph()
        data = inputs.open(graph)
        calibration = None if inputs.calibration_data is None else inputs.open_calibration(graph, data)
        paths = {"model": inputs.model, "data": inputs.data, "calibration": inputs.calibration_data}
        source = Source(
            graph,
            data,
            calibration,
            paths={name: path for name, path in paths.items() if path is not None},
            words=inputs.words(),
            command=("fxnorm", *words),
        )
        result, study = run_search(
            source, request, output, workers=workers, storage=storage, executor=executor, progress=progress
        )
        plans = write_front(result, study, output)
        said.write({**front_record(result, plans), "verdict": verdict(result, request)})
        delivery.deliver()
    said.show(lambda: print_search(result, request, plans, Path(output)))
    return 0 if result.best is not None else 1
