"""Accuracy of every trained example in fixed point, with normalization and without, as a page: ``make accuracy``.

Each network runs on its labelled test images in FP32 and bit by bit in fixed point, planned three ways. Scales are chosen on the first
256 of the same samples, as ``fxnorm simulate`` chooses them; labels take no part in it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import fxnorm as fx

HERE = Path(__file__).resolve().parent
CALIBRATION_SAMPLES = 256
NORMALIZATIONS = ("none", "pow2", "affine")
# Network → its archive of test images, and what it is.
DIGITS = {
    "digits_dense": ("digits_dense_test", "dense layers, batch normalization"),
    "digits_conv": ("digits_conv_test", "convolutions, batch normalization"),
    "digits_groupnorm": ("digits_conv_test", "convolutions, group normalization"),
    "digits_instancenorm": ("digits_conv_test", "convolutions, instance normalization"),
    "digits_vit": ("digits_conv_test", "vision transformer, layer normalization"),
}
WAKE_WORD = ("sww", "sww_samples", "streaming wake word of MLPerf Tiny, batch normalization")


@dataclass(frozen=True)
class Row:
    """What became of one network: how many answers were right, by who gave them, and how far the outputs are from FP32."""

    name: str
    what: str
    samples: int
    right: dict[str, int]
    sqnr_db: dict[str, float]


def judge(model: Path, data: Path, what: str, format_: str) -> Row:
    """Run one network in FP32 and in every normalization."""
    with np.load(data) as archive:
        labels = archive["labels"]
        samples = {name: archive[name] for name in archive if name != "labels"}
    graph = fx.load(model)
    (output,) = graph.outputs
    expected = fx.reference(graph, samples)
    ranges = fx.calibrate(graph, {name: array[:CALIBRATION_SAMPLES] for name, array in samples.items()})
    right = {"fp32": count(expected[output], labels)}
    sqnr_db = {}
    for normalize in NORMALIZATIONS:
        result = fx.simulate(fx.plan(graph, ranges, format_, normalize=normalize), samples)
        right[normalize] = count(result[output].values, labels)
        sqnr_db[normalize] = fx.compare(expected, result)[output].sqnr_db
    return Row(model.stem, what, len(labels), right, sqnr_db)


def count(scores: np.ndarray, labels: np.ndarray) -> int:
    """How often the largest score is the label's."""
    return int(np.count_nonzero(scores.reshape(len(labels), -1).argmax(axis=-1) == labels))


def rows(format_: str, models: Path) -> Iterator[Row]:
    """Every example, and the wake word network where its folder is at hand."""
    for name, (data, what) in DIGITS.items():
        yield judge(HERE / f"{name}.onnx", HERE / f"{data}.npz", what, format_)
    name, data, what = WAKE_WORD
    if (models / f"{name}.onnx").is_file():
        yield judge(models / f"{name}.onnx", models / f"{data}.npz", what, format_)
    else:
        print(f"{name}: {models / f'{name}.onnx'} is not there; left out")


def page(found: list[Row], format_: str) -> str:
    """The page, in Markdown."""
    lines = [
        "# Accuracy in fixed point",
        "",
        f"Made by `make accuracy`. Every number of a network (inputs, weights, values between layers) is held in **{format_}**; inner",
        "accumulators are exact. *none* is that format as it is, *pow2* (the default) gives every value a power of two, *affine* any scale",
        "and offset. Right answers of all, and the signal-to-noise ratio of the scores against FP32 in brackets. Scales are chosen on the",
        "first 256 samples of the data that is run; labels take no part in it.",
        "",
        "| network | samples | FP32 | none | pow2 | affine |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in found:
        cells = [f"{row.name}: {row.what}", str(row.samples), share(row, "fp32")]
        cells += [f"{share(row, how)} ({round(row.sqnr_db[how], 1) + 0.0:.1f} dB)" for how in NORMALIZATIONS]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "The digits are described in [examples](../examples/README.md). The wake word network and its 45 recorded samples are not part of",
        "this project; `make accuracy` leaves them out where they are not at hand (`--models DIR` says where).",
    ]
    return "\n".join(lines) + "\n"


def share(row: Row, who: str) -> str:
    """Right answers as a share and as a count."""
    return f"{100 * row.right[who] / row.samples:.1f} % ({row.right[who]})"


def main() -> int:
    """Print the page; 1 if normalization loses more than a point, or one answer where there are few."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--format", default="q5.3", help="format of all data; default: q5.3")
    parser.add_argument("--models", type=Path, default=HERE.parents[1] / "shared" / "models", metavar="DIR")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write the page there, too")
    arguments = parser.parse_args()
    found = list(rows(arguments.format, arguments.models))
    text = page(found, arguments.format)
    print(text)
    if arguments.page:
        arguments.page.parent.mkdir(parents=True, exist_ok=True)
        arguments.page.write_text(text, encoding="utf-8")
    lost = [row.name for row in found if row.right["fp32"] - row.right["pow2"] > max(1, row.samples / 100)]
    if lost:
        print(f"more than a point is lost with normalization: {', '.join(lost)}")
    return 1 if lost else 0


if __name__ == "__main__":
    raise SystemExit(main())
