"""Records of runs, as `simulate --json` writes them and a sweep keeps them, as results."""

from __future__ import annotations

import hashlib
import math
import shlex
from collections.abc import Mapping, Sequence
from typing import Final

from fxnorm.errors import DataError, FormatError
from fxnorm.fixed.format import Format
from fxnorm.page.layers import Accumulator, LayerResult, Proof
from fxnorm.page.plain import LONGEST_LINE, Entry, clean
from fxnorm.page.results import Check, Distribution, Results, Row, Source
from fxnorm.planning.bounds import Verdict
from fxnorm.report.distribution import DISTRIBUTION_PARTS
from fxnorm.report.record import HISTOGRAM_PARTS, SAFE

WIDEST_FORMAT: Final = 1024
PROOFS: Final = {
    Verdict.FORMAT: "any codes",
    Verdict.INTERVAL: "any input",
    Verdict.ORDER: "any input, in order",
    Verdict.WITNESS: "no: some input overflows",
    Verdict.OPEN: "no: not decided",
}
MAY: Final = "no: it may overflow"
"""Of a record that says no more."""
PROOF_NOTE: Final = (
    "A proof holds for any codes that the formats can have, for any input of this network (by interval analysis), or for any input in the "
    "order of the additions. Needed are the bits with which, by the sharpest of these, nothing can overflow."
)


def read_record(record: Entry) -> Results:
    """Results of one run."""
    if "layers" not in record or "plan" not in record:
        raise DataError(
            f'{record.where}: must be what `simulate --json` writes, with "plan" and "layers"; '
            "or name the folder of a sweep"
        )
    plan = record.entry("plan")
    model, data, calibration = record.entry("model"), record.entry("data"), plan.entry("calibration")
    source = Source(
        model=model.words("path", longest=LONGEST_LINE),
        model_sha256=model.words("sha256"),
        data=data.words("description", longest=LONGEST_LINE),
        data_sha256=data.words("sha256"),
        samples=record.count("samples"),
        calibration=calibration.words("description", longest=LONGEST_LINE),
        calibration_sha256=calibration.words("sha256"),
    )
    format_, normalize = plan.words("format"), plan.words("normalize")
    outputs = [record.entry("outputs").entry(name) for name in record.entry("outputs")]
    accuracy = record.entry("accuracy")
    layers = layer_results(record)
    overflow_count, overflow_fraction = overflows(layers)
    row = Row(
        number=0,
        name=f"{format_} {normalize}",
        format=format_,
        width=plan.count("width"),
        integer_bits=plan.count("integer_bits"),
        fraction_bits=plan.count("fraction_bits"),
        normalize=normalize,
        plan_digest=plan.words("digest"),
        outputs_digest=outputs_digest(record.entry("outputs")),
        samples=record.count("samples"),
        accuracy_fp32=accuracy.number("fp32"),
        accuracy=accuracy.number("fixed"),
        sqnr_db=worst_ratio(outputs),
        max_abs_error=max((output.number("max_abs_error") or 0.0 for output in outputs), default=None),
        agreement=min(
            (a for a in (output.number("argmax_agreement") for output in outputs) if a is not None), default=None
        ),
        overflow_count=overflow_count,
        overflow_fraction=overflow_fraction,
        layers=layers,
        seconds=sum(record.entry("seconds").number(phase) or 0.0 for phase in record.entry("seconds")),
    )
    checks = tuple(
        Check(
            check.words("rule"), check.words("where"), check.truth("passed"), check.words("text", longest=LONGEST_LINE)
        )
        for check in record.entry("gate").entries("checks")
    )
    return Results("run", source, (row,), checks=checks)


def outputs_digest(outputs: Entry) -> str:
    """Digest of all outputs' codes, see `fxnorm.output_digest.OutputDigest.whole`; "" for a record that has none."""
    found = {name: outputs.entry(name).text("codes_sha256") for name in outputs}
    if not found or not all(found.values()):
        return ""
    lines = "".join(f"{found[name]}  {name}\n" for name in sorted(found))
    return hashlib.sha256(lines.encode(errors="surrogateescape")).hexdigest()


def worst_ratio(outputs: list[Entry]) -> float | None:
    """SQNR of the worst output; inf where none has an error."""
    ratios = [ratio for ratio in (sqnr(output) for output in outputs) if ratio is not None]
    return min(ratios, default=None)


def sqnr(entry: Entry) -> float | None:
    """SQNR of an output or a layer: null stands for inf where there is no error, see `fxnorm.report.record.error_record`."""
    ratio, largest = entry.number("sqnr_db"), entry.number("max_abs_error")
    return math.inf if ratio is None and largest == 0.0 else ratio


def layer_results(record: Entry) -> tuple[LayerResult, ...]:
    """Layers of a run's record."""
    found = []
    for entry in record.entries("layers"):
        format_ = entry.words("format")
        accumulator = entry.entry("accumulator") if "accumulator" in entry else None
        stages = entry.entry("stages")
        histogram = entry.counts("histogram")
        if len(histogram) > HISTOGRAM_PARTS:
            raise DataError(
                f"{entry.where}: 'histogram' must have at most {HISTOGRAM_PARTS} counts; make the file again"
            )
        found.append(
            LayerResult(
                key=entry.text("output"),
                name=entry.text("name"),
                op=entry.words("op"),
                kernel=entry.words("kernel"),
                format=format_,
                width=parsed(format_, entry.where).width,
                scale=entry.number("scale"),
                offset=entry.number("offset"),
                sqnr_db=sqnr(entry),
                overflow_count=entry.count("overflow_count"),
                overflow_fraction=entry.number("overflow_fraction") or 0.0,
                at_low_fraction=entry.number("at_low_fraction") or 0.0,
                at_high_fraction=entry.number("at_high_fraction") or 0.0,
                minimum=entry.number("min"),
                maximum=entry.number("max"),
                bits_used=entry.count("bits_used"),
                histogram=histogram,
                accumulator=None if accumulator is None else _accumulator(accumulator),
                proofs=_proofs(entry, accumulator),
                stages={
                    clean(name): (stages.entry(name).words("format"), stages.entry(name).count("overflow_count"))
                    for name in stages
                },
                findings=tuple(finding.words("text") for finding in entry.entries("diagnosis")),
            )
        )
    return tuple(found)


def _accumulator(entry: Entry) -> Accumulator:
    return Accumulator(
        entry.words("format"),
        entry.words("proof"),
        entry.count("overflow_count"),
        entry.number("overflow_fraction") or 0.0,
    )


def overflows(layers: Sequence[LayerResult]) -> tuple[int, float]:
    """Overflows of values, additions and stages together, and the largest share of one layer's values or additions."""
    sums = [layer.accumulator for layer in layers if layer.accumulator is not None]
    times = sum(layer.overflow_count for layer in layers) + sum(one.overflow_count for one in sums)
    times += sum(count for layer in layers for _, count in layer.stages.values())
    return times, max(
        [layer.overflow_fraction for layer in layers] + [one.overflow_fraction for one in sums], default=0.0
    )


def _proofs(entry: Entry, accumulator: Entry | None) -> tuple[Proof, ...]:
    """Proofs as `fxnorm.report.proofs` writes them, or what a record without them says of its accumulator."""
    found = []
    for one in entry.entries("proofs"):
        text = one.words("verdict")
        if text not in list(Verdict):
            raise DataError(
                f"{one.where}: 'verdict' must be one of {', '.join(Verdict)}, not {text!r}; make the file again"
            )
        verdict, format_ = Verdict(text), one.words("format")
        width = parsed(format_, one.where).width if format_ else None
        needed = [one.count(bound) if bound in one else None for bound in ("by_format", "by_interval", "in_order")]
        found.append(
            Proof(
                one.words("part"),
                one.count("terms"),
                format_,
                width,
                (needed[0], needed[1], needed[2]),
                verdict.holds,
                PROOFS[verdict],
            )
        )
    if not found and accumulator is not None:
        format_, words = accumulator.words("format"), accumulator.words("proof")
        width = parsed(format_, accumulator.where).width
        holds = words == SAFE
        known = PROOFS[Verdict.FORMAT] if holds else MAY
        found.append(Proof("accumulator", 0, format_, width, (None, None, None), holds, known))
    return tuple(found)


def parsed(text: str, where: str) -> Format:
    """A format."""
    try:
        return Format.parse(text, max_width=WIDEST_FORMAT)
    except FormatError as error:
        raise DataError(f"{where}: {error}") from None


def distributions(reference: Entry) -> dict[str, Distribution]:
    """Distributions of real numbers, as a run's folder keeps them."""
    values = reference.entry("values")
    found = {}
    for name in values:
        entry = values.entry(name)
        low, high, counts = entry.number("low"), entry.number("high"), entry.counts("counts")
        if low is None or high is None or low > high or not 0 < len(counts) <= DISTRIBUTION_PARTS:
            raise DataError(
                f"{entry.where}: must have 'low', 'high' and 1 to {DISTRIBUTION_PARTS} 'counts'; make the file again"
            )
        found[name] = Distribution(low, high, counts)
    return found


def shell_line(command: Sequence[str]) -> str:
    """Words of a command line as one line for a shell."""
    return clean(shlex.join(command), LONGEST_LINE)


def as_texts(entry: Entry) -> Mapping[str, str]:
    """An object of anything as text."""
    return {clean(name): entry.spelled(name) for name in entry}
