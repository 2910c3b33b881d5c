"""What `fxnorm report` does, once the command line is read."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from fxnorm.errors import UsageError
from fxnorm.gate.limits import Limits, option
from fxnorm.gate.verdict import refuse_missing_labels
from fxnorm.page.limits import DRAWN, Criterion, criterion
from fxnorm.page.reading import read
from fxnorm.page.results import Results
from fxnorm.page.summary import summarize
from fxnorm.page.wording import SPACE, plural
from fxnorm.report.files import Delivery, Parcel, writing
from fxnorm.report.progress import progress_bars
from fxnorm.report.text import printable
from fxnorm.sweeping.store import OWN

FORMATS: Final = ("html", "md")
ENDINGS: Final = {"": "html", ".html": "html", ".htm": "html", ".md": "md", ".markdown": "md"}
NEEDED: Final = {"altair": "altair", "vl_convert": "vl-convert-python"}
"""Modules that only charts need, and what they are installed as."""


def report(
    *,
    run: str,
    output: str | None,
    format: str | None,
    plots: str | None,
    **given: Any,
) -> None:
    """`fxnorm report`: a report, plots, or both.

    Raises
    ------
    UsageError
        If there is nothing to write, or the libraries for charts are missing.
    """
    if output is None and plots is None:
        raise UsageError("report: must be told what to write; give -o report.html, -o report.md or --plots DIR")
    if output is None and format is not None:
        raise UsageError("report: --format goes with -o; --plots writes SVG and PNG")
    kind = None if output is None else _kind(output, format)
    if kind == "html" or plots is not None:
        check_libraries()
    asked = Limits(**given)
    with ExitStack() as stack, Delivery(_sources(run)) as delivery:
        parcel = None if output is None else delivery.add("-o", output)
        folder = None if plots is None else _folder(plots, stack)
        results = read(run)
        limits = criterion(results, asked)
        refuse_missing_labels(limits.limits, results.fp32 is not None or not results.done, run)
        kept = {"-o": output, "--format": format, "--plots": plots}
        again = ["fxnorm", "report", run, *_words(asked)]
        again += [word for name, value in kept.items() if value is not None for word in (name, value)]
        if parcel is not None:
            parcel.write(_text(kind, results, limits, again))
        written = 0 if folder is None else _draw(results, limits, folder, delivery)
        delivery.deliver()
        stack.pop_all()
    print(printable(summarize(results, limits).headline.replace(SPACE, " ")))
    if output is not None:
        print(printable(f"written: {output}"))
    if plots is not None:
        print(printable(f"written: {plots}, {plural(written, 'chart')} as SVG and PNG, listed in index.csv"))


def check_libraries() -> None:
    """Refuse charts where their libraries are not installed.

    Raises
    ------
    UsageError
        With what to install.
    """
    missing = [package for module, package in NEEDED.items() if find_spec(module) is None]
    if missing:
        raise UsageError(
            f"report: charts need {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed; "
            "install them with `pip install 'fxnorm[report]'`, or write --format md, which has none"
        )


def _kind(output: str, format_: str | None) -> str:
    if format_ is None:
        ending = Path(output).suffix.lower()
        if ending not in ENDINGS:
            raise UsageError(
                f"-o {output}: must end with .html or .md, or --format must say which of the two it is; "
                "charts as PNG and SVG are what --plots DIR writes"
            )
        return ENDINGS[ending]
    if format_ not in FORMATS:
        raise UsageError(f"--format: must be one of {', '.join(FORMATS)}, not {format_!r}")
    return format_


def _text(kind: str | None, results: Results, limits: Criterion, again: Sequence[str]) -> str:
    if kind == "md":
        from fxnorm.page.markdown import markdown

        return markdown(results, limits, again)
    from fxnorm.page.document import document

    return document(results, limits, again)


def _draw(results: Results, limits: Criterion, folder: Path, delivery: Delivery) -> int:
    from fxnorm.page import plots

    chosen = plots.compared(results, limits)
    found, kinds = plots.plots(results, limits, chosen), plots.kinds(results, chosen)
    parcels = [
        [delivery.add("--plots", str(folder / f"{plot.name}.{ending}")) for ending in ("svg", "png")] for plot in found
    ]
    delivery.add("--plots", str(folder / plots.INDEX)).write(plots.index(found))
    with progress_bars() as progress:
        for place, (plot, (vector, raster)) in enumerate(zip(found, parcels, strict=True)):
            svg = plots.drawn(plot, kinds[plot.chart])
            vector.write(svg)
            _write_bytes(raster, plots.raster(svg))
            if progress is not None:
                progress("plots", place + 1, len(found))
    return len(found)


def _write_bytes(parcel: Parcel, content: bytes) -> None:
    with writing(parcel.where):
        parcel.content.write_bytes(content)


def _folder(path: str, stack: ExitStack) -> Path:
    """A folder for plots; one that is made is removed again if nothing comes of it."""
    folder = Path(path)
    with writing(f"--plots {path}"):
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"--plots {path}: must be a folder, but this is a file; choose another name")
        if not folder.exists():
            folder.mkdir()
            stack.callback(_remove_empty, folder)
    return folder


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def _sources(run: str) -> list[str]:
    """What the command reads: a report may lie in a run's folder, but not in the place of its files."""
    return [str(Path(run) / name) for name in OWN] if Path(run).is_dir() else [run]


def _words(limits: Limits) -> list[str]:
    given = [(name, getattr(limits, name)) for name in DRAWN]
    return [word for name, value in given if value is not None for word in (option(name), f"{value:g}")]
