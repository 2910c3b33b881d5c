"""How fast fxnorm is, against what its users have today: `make bench`.

Every figure is a ratio of medians from one run in which both take turns. Networks are read from ../shared/models where that folder
exists; the trained examples of this repository are always measured.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import fxnorm as fx
from benchmarks.measure import Row, at_most, faster, in_turn
from fxnorm.fixed.format import Format
from fxnorm.graph.graph import Graph
from fxnorm.planning.plan import Plan
from fxnorm.simulation import Simulator

ROOT = Path(__file__).resolve().parents[1]
MODELS = ROOT / ".." / "shared" / "models"
Array = np.ndarray


def reference(path: Path) -> object:
    """onnxruntime on two threads, as its users run it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = len(os.sched_getaffinity(0))
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def inputs_of(graph: Graph, samples: Array) -> dict[str, Array]:
    """Samples as the simulator takes them."""
    name = graph.inputs[0]
    return {name: samples.reshape(-1, *graph.shape(name))}


def network(
    path: Path, samples: Array, format_: str, limit: float | None, accumulator: str | None = None
) -> tuple[Row, Plan]:
    """One network against its own FP32."""
    graph = fx.load(path)
    ranges = fx.calibrate(graph, samples[:50])
    plan = fx.plan(graph, ranges, format_, accumulator=accumulator)
    simulator, session = Simulator(plan), reference(path)
    given = inputs_of(graph, samples)
    ours, theirs = in_turn(
        lambda: simulator.run(given),
        lambda: session.run(None, {graph.inputs[0]: samples}),  # type: ignore[attr-defined]
    )
    title = f"{path.stem}, {len(samples)} samples, {format_}"
    target = None if limit is None else at_most(limit, ours, theirs)
    return Row(title, ours, theirs, "onnxruntime FP32", target), plan


def networks() -> Iterator[Row]:
    """Whole networks against their own FP32."""
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 255, (200, 32, 32, 3)).astype(np.float32)
    cases = (
        ("resnet8", images, "q5.3", 1.5),
        ("ad_autoencoder", rng.uniform(-80, 0, (1000, 640)).astype(np.float32), "q5.3", 1.5),
        ("dscnn", rng.uniform(-120, 30, (500, 49, 10, 1)).astype(np.float32), "q5.3", 2.0),
        ("resnet8", images, "q8.8", 4.0),
    )
    if MODELS.is_dir():
        for name, samples, format_, limit in cases:
            yield network(MODELS / f"{name}.onnx", samples, format_, limit)[0]
        yield narrow_accumulator(MODELS / "resnet8.onnx", images[:50])
    else:
        print(f"{MODELS} is missing: its networks are not measured", file=sys.stderr)
    for name in ("digits_dense", "digits_conv"):
        with np.load(ROOT / "examples" / f"{name}_test.npz") as data:
            samples = next(data[key] for key in data.files if key != "labels").astype(np.float32)
        yield network(ROOT / "examples" / f"{name}.onnx", samples, "q5.3", None)[0]


def narrow_accumulator(path: Path, images: Array) -> Row:
    """A saturating accumulator two bits narrower than the widest that the network needs."""
    graph = fx.load(path)
    ranges = fx.calibrate(graph, images)
    exact = fx.plan(graph, ranges, "q5.3")
    widest = max(
        (f for layer in exact.layers if layer.kernel.kind == "linear" and (f := layer.kernel.accumulator_format())),
        key=lambda f: f.width,
    )
    narrow = f"q{widest.integer_bits - 2}.{widest.fraction_bits}:trn,sat"
    plan = fx.plan(graph, ranges, "q5.3", accumulator=narrow)
    simulator = Simulator(plan)
    given = inputs_of(graph, images)
    simulator.run(given)
    additions = sum(report.usage.additions for report in simulator.reports.values())
    session = reference(path)
    ours, theirs = in_turn(
        lambda: simulator.run(given),
        lambda: session.run(None, {graph.inputs[0]: images}),  # type: ignore[attr-defined]
        runs=5,
    )
    rate = additions / ours / 1e9
    return Row(
        f"resnet8, {len(images)} samples, q5.3, accumulator {narrow}",
        ours,
        theirs,
        "onnxruntime FP32",
        ("at least 0.5 GMAC/s", rate >= 0.5),
        f"{rate:.2f} GMAC/s",
    )


def dense() -> Iterator[Row]:
    """1000×64 · 64×32 with a saturating accumulator, against what models it today; they do a part and are scaled up."""
    from fxnorm.engine import replay

    rng = np.random.default_rng(1)
    a, b = rng.integers(-128, 128, (1000, 64)), rng.integers(-128, 128, (64, 32))
    accumulator = replay.Accumulator(Format.parse("q11.6:trn,sat", max_width=64), 6)

    def ours() -> object:
        return replay.accumulate(a[None], b[None], np.zeros(1, np.int64), accumulator)

    ours()
    for name, theirs, rows, wanted in (("fxpmath", _fxpmath(a, b), 2, 1000), ("apytypes", _apytypes(a, b), 100, 50)):
        mine, other = in_turn(ours, lambda work=theirs, rows=rows: work(rows), runs=5)  # type: ignore[misc]
        scaled = other * len(a) / rows
        yield Row(
            "dense 1000×64 · 64×32, saturating at every addition",
            mine,
            scaled,
            name,
            faster(wanted, mine, scaled),
            f"{name} measured on {rows} rows",
        )


def _fxpmath(a: Array, b: Array):  # type: ignore[no-untyped-def]
    from fxpmath import Fxp

    def work(rows: int) -> None:
        for i in range(rows):
            for j in range(b.shape[1]):
                total = Fxp(0, signed=True, n_word=17, n_frac=6, overflow="saturate", rounding="floor")
                for k in range(a.shape[1]):
                    x = Fxp(a[i, k] / 8, signed=True, n_word=8, n_frac=3)
                    w = Fxp(b[k, j] / 8, signed=True, n_word=8, n_frac=3)
                    total.set_val((total + x * w).get_val())

    return work


def _apytypes(a: Array, b: Array):  # type: ignore[no-untyped-def]
    import apytypes
    from apytypes import APyFixedAccumulatorContext, APyFixedArray, OverflowMode, QuantizationMode

    right = APyFixedArray.from_float(b / 8, int_bits=5, frac_bits=3)

    def work(rows: int) -> None:
        left = APyFixedArray.from_float(a[:rows] / 8, int_bits=5, frac_bits=3)
        # 0.5.1 does not saturate here; the time is what is compared.
        with APyFixedAccumulatorContext(
            int_bits=11, frac_bits=6, quantization=QuantizationMode.TRN, overflow=OverflowMode.SAT
        ):
            left @ right

    assert apytypes
    return work


def functions() -> Iterator[Row]:
    """Softmax alone, against NumPy float32 of the formula."""
    from fxnorm.kernels.encoding import Encoding
    from fxnorm.kernels.kernel import Policy
    from fxnorm.kernels.softmax import SoftmaxOperation
    from fxnorm.kernels.stage import Tally

    rng = np.random.default_rng(2)
    values = rng.normal(0, 2, (1000, 128)).astype(np.float32)
    for format_text in ("q5.3", "q8.8"):
        format_ = Format.parse(format_text)
        x, y = Encoding(format_), Encoding(format_, -format_.integer_bits + 1)
        kernel = SoftmaxOperation(0, 128, False).decide([x], y, Policy(format_, format_))
        codes = x.encode(values)

        def ours(kernel=kernel, codes=codes) -> object:  # type: ignore[no-untyped-def]
            return kernel.run([codes], Tally())

        def theirs() -> object:
            e = np.exp(values - values.max(axis=1, keepdims=True))
            return e / e.sum(axis=1, keepdims=True)

        mine, other = in_turn(ours, theirs)
        yield Row(f"softmax 1000×128, {format_text}", mine, other, "NumPy float32", at_most(4, mine, other))


def start_up() -> Iterator[Row]:
    """Whole commands; compared with the interpreter that starts and does nothing."""
    command = [sys.executable, "-m", "fxnorm.cli"]

    def run(arguments: list[str]) -> float:
        times = []
        for _ in range(5):
            start = time.perf_counter()
            subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            times.append(time.perf_counter() - start)
        return sorted(times)[2]

    bare = run([sys.executable, "-c", "pass"])
    seconds = run([*command, "--help"])
    yield Row("fxnorm --help", seconds, bare, "python -c pass", ("under 0.3 s", seconds < 0.3))
    samples = MODELS / "sww_samples.npz"
    if samples.is_file():
        arguments = ["simulate", str(MODELS / "sww.onnx"), "--format", "q5.3", "--data", str(samples)]
        seconds = run([*command, *arguments])
        yield Row("fxnorm simulate sww, 45 samples", seconds, bare, "python -c pass", ("under 3 s", seconds < 3.0))


def table(rows: list[Row]) -> str:
    """The rows as Markdown."""
    lines = [
        "| work | fxnorm | against | its time | ratio | target | reached |",
        "| --- | ---: | --- | ---: | ---: | --- | --- |",
    ]
    for row in rows:
        target, reached = ("", "") if row.target is None else (row.target[0], "yes" if row.target[1] else "**no**")
        note = f" ({row.note})" if row.note else ""
        ratio = f"{row.ratio:.2f}" if row.ratio >= 0.01 else f"1 / {1 / row.ratio:,.0f}"
        lines.append(
            f"| {row.work}{note} | {row.ours * 1e3:.2f} ms | {row.against} | {row.theirs * 1e3:.2f} ms "
            f"| {ratio} | {target} | {reached} |"
        )
    return "\n".join(lines)


def machine() -> str:
    """What it was measured on."""
    names = [
        line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    ]
    cores = len(os.sched_getaffinity(0))
    return f"{names[0] if names else platform.machine()}, {cores} cores, Python {platform.python_version()}, NumPy {np.__version__}"


def main() -> None:
    """Measure, print, and write the page if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", type=Path, help="Markdown file to write")
    page = parser.parse_args().page
    rows: list[Row] = []
    for group in (start_up, networks, dense, functions):
        for row in group():
            rows.append(row)
            print(f"{row.work}: {row.ours * 1e3:.2f} ms, {row.ratio:.3g} × {row.against} {row.note}", flush=True)
    text = (
        "# Benchmarks\n\nProduced by `make bench`: medians of at least five runs in which both sides take turns; all counters on.\n\n"
        f"Machine: {machine()}.\n\n{table(rows)}\n"
    )
    print(text)
    if page is not None:
        page.write_text(text)


if __name__ == "__main__":
    main()
