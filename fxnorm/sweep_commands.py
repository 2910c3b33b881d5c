"""What `fxnorm sweep` does, once the command line is read."""

from __future__ import annotations

import sys
from typing import Any

from fxnorm.commands import Inputs, sources
from fxnorm.planning.settings import settings
from fxnorm.report.files import Delivery
from fxnorm.report.output import Output
from fxnorm.report.progress import progress_bars
from fxnorm.sweeping.grid import Grid
from fxnorm.sweeping.results import results_record
from fxnorm.sweeping.show import print_sweep
from fxnorm.sweeping.sweep import Source
from fxnorm.sweeping.sweep import sweep as run_sweep


def sweep(
    *,
    output: str,
    width: str | None,
    integer_bits: str | None,
    formats: str | None,
    workers: int | None,
    json_file: str | None,
    **given: Any,
) -> None:
    """`fxnorm sweep`."""
    inputs, chosen = Inputs.split(given)
    inputs.check("sweep")
    found = settings({**chosen, "format": formats}, needs_format=False)
    if width is not None and formats is None:
        found.pop("format", None)  # the command line wins over the file
    grid = Grid.read(found, width, integer_bits)
    with Delivery(sources(inputs, chosen)) as delivery, progress_bars() as progress:
        said = Output(json_file, delivery)
        graph = inputs.graph()
        data = inputs.open(graph)
        calibration = None if inputs.calibration_data is None else inputs.open_calibration(graph, data)
        if inputs.data is None:
            said.announce(f"no --data: {data.description}")
        paths = {"model": inputs.model, "data": inputs.data, "calibration": inputs.calibration_data}
        source = Source(
            graph,
            data,
            calibration,
            paths={name: path for name, path in paths.items() if path is not None},
            words=inputs.words(),
            command=tuple(sys.argv),
        )
        run = run_sweep(source, grid, output, workers=workers, progress=progress)
        said.write(results_record(run))
        delivery.deliver()
    said.show(lambda: print_sweep(run))
