"""What `fxnorm sweep` does, once the command line is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fxnorm.commands import Inputs, sources
from fxnorm.errors import UsageError
from fxnorm.gate.gate import Gate
from fxnorm.gate.subject import Subject
from fxnorm.planning.settings import settings
from fxnorm.report.files import Delivery
from fxnorm.report.output import Output
from fxnorm.report.progress import progress_bars
from fxnorm.sweeping.cluster import cluster
from fxnorm.sweeping.grid import Grid
from fxnorm.sweeping.results import results_record
from fxnorm.sweeping.selection import Selection
from fxnorm.sweeping.show import print_sweep
from fxnorm.sweeping.sweep import Source
from fxnorm.sweeping.sweep import sweep as run_sweep
from fxnorm.sweeping.tables import Row


def sweep(
    *,
    output: str,
    width: str | None,
    integer_bits: str | None,
    formats: str | None,
    workers: int | None,
    dask: str | None,
    json_file: str | None,
    gate_on: Sequence[str],
    words: Sequence[str],
    **given: Any,
) -> None:
    """`fxnorm sweep`; `words` are those of the command line."""
    gate, given = Gate.split(given)
    selection = Selection.read(gate_on)
    if gate_on and not gate:
        raise UsageError("--gate-on: goes with a gate; give a limit such as --min-accuracy, or --baseline")
    inputs, chosen = Inputs.split(given)
    inputs.check("sweep")
    found = settings({**chosen, "format": formats}, needs_format=False)
    if width is not None and formats is None:
        found.pop("format", None)  # the command line wins over the file
    grid = Grid.read(found, width, integer_bits)
    with (
        cluster(dask, workers) as executor,
        Delivery([*sources(inputs, chosen), *gate.sources]) as delivery,
        progress_bars() as progress,
    ):
        said = Output(json_file, delivery)
        gate.promise(delivery)
        graph = inputs.graph()
        data = inputs.open(graph)
        gate.prepare(graph.sha256, data)
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
            command=("fxnorm", *words),
        )
        run = run_sweep(
            source, grid, output, workers=workers, executor=executor, progress=progress, look=selection.check
        )
        record = results_record(run)
        gate.judge([_subject(row) for row in run.rows if selection.holds(row.configuration)], record)
        said.write(record)
        delivery.deliver()
    said.show(lambda: print_sweep(run))
    gate.tell(quiet=said.direct)


def _subject(row: Row) -> Subject:
    """A row as a gate judges it."""
    one = row.configuration
    return Subject(one.name, row.record, one.id, row.reason or "", one.command, row.seconds["total"])
