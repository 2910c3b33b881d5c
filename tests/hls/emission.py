"""Many kernels in one design, so that one compilation checks them all, on both flavours, codes and counters."""

from __future__ import annotations

import importlib.util
import math
import random
import shutil
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.hls.block import OVERFLOW
from fxnorm.hls.build import Build, find_headers
from fxnorm.hls.choices import Choices
from fxnorm.hls.design import Design, make_design
from fxnorm.hls.dialect import DIALECTS
from fxnorm.hls.event_log import read_log
from fxnorm.hls.project import make_project
from fxnorm.hls.static_check import check as static_check
from fxnorm.hls.tokens import Read, events
from fxnorm.hls.vectors import Vectors, parse, run_codes
from fxnorm.kernels.encoding import Encoding
from fxnorm.kernels.kernel import Kernel
from fxnorm.kernels.movement import Lookup
from fxnorm.planning.plan import Layer, Plan, PlanValue

Array = np.ndarray

needs_gxx = pytest.mark.skipif(
    shutil.which("g++") is None or importlib.util.find_spec("hls4ml") is None,
    reason="g++ and the vendors' headers are needed: pip install --no-deps hls4ml",
)


@dataclass(frozen=True)
class Case:
    """A kernel with the shapes and encodings around it, and codes for its inputs [frames, *shape]."""

    label: str
    kernel: Kernel
    inputs: tuple[PlanValue, ...]
    output: PlanValue
    codes: tuple[Array, ...]


def share(target: str, count: int) -> int:
    """How many cases of a number that a target gets: ap_ types take more than twice as long to compile as ac_ types."""
    return count if target == "catapult" else count // 2


def plan_of(cases: Sequence[Case]) -> Plan:
    """A plan whose layers are independent of one another."""
    values: dict[str, PlanValue] = {}
    layers: list[Layer] = []
    inputs: list[str] = []
    outputs: dict[str, str] = {}
    for index, case in enumerate(cases):
        names = tuple(f"case{index}.input{place}" for place in range(len(case.inputs)))
        values.update(zip(names, case.inputs, strict=True))
        inputs += names
        output = f"case{index}.output"
        values[output] = case.output
        layers.append(Layer(f"case{index}: {case.label}", "Op", case.kernel, names, output, False))
        outputs[output] = output
    return Plan(
        layers=tuple(layers),
        inputs=tuple(inputs),
        integer_inputs=(),
        outputs=outputs,
        values=values,
        model_path="",
        model_sha256="0" * 64,
        data="drawn",
        data_sha256="0" * 64,
        options={"format": "q5.3"},
    )


def codes_of(plan: Plan, cases: Sequence[Case]) -> dict[str, Array]:
    """Input codes by value name."""
    return dict(zip(plan.inputs, (codes for case in cases for codes in case.codes), strict=True))


def differences(
    plan: Plan, vectors: Vectors, target: str, folder: Path, *, choices: Choices | None = None, level: str = "-O0"
) -> list[str]:
    """Emit a plan for one target, compile it as one translation unit, run it, and list what is not as expected."""
    design = make_design(plan, choices or Choices.make(target))
    project = make_project(design, "cases", vectors)
    for path, content in project.files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    dialect = DIALECTS[target]
    root = folder / target
    sources = [*sorted((root / "src").glob("*.cpp")), root / "tb" / "cases_tb.cpp"]
    whole = folder / "whole.cpp"
    whole.write_text("".join(f'#include "{source}"\n' for source in sources))
    program = folder / "program"
    command = ["g++", "-std=c++14", level, "-Werror=overflow", "-Wno-unknown-pragmas", "-Wno-unused-label"]
    command += [
        "-DFX_COUNTERS",
        "-DFX_VALUES",
        *(["-DFX_EVENTS"] if design.streams else []),
        f"-I{folder / 'sim'}",
        f"-I{root / 'src'}",
    ]
    command += ["-isystem", str(find_headers(dialect)), str(whole), "-o", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr[:3000]
    if target == "catapult":  # of vendors' types it looks at what it has to; these are read in half the time
        assert not findings(folder, target)
    build = Build(folder, "cases", dialect, folder, "g++", folder)
    run = build.run(program, folder / "vectors", folder / "out")
    wrong = [] if run.returncode == 0 else [run.stdout[:1500] + run.stderr[:500]]
    if run.returncode not in {0, 1}:
        return wrong
    if design.streams:
        wrong += event_differences(design, folder / "out" / "events.txt", frames=min(2, vectors.frames))
    labels = {unit.site.output.name: f"{unit.name} ({unit.layer.name})" for unit in design.units}
    for flavour in ("design", "raw"):
        for end, name in zip(design.outputs, plan.outputs.values(), strict=True):
            seen = parse((folder / "out" / f"{flavour}_{end.name}.txt").read_bytes())
            expected = vectors.codes[name].reshape(len(seen), -1)
            count = int(np.count_nonzero(seen != expected))
            if count:
                wrong.append(
                    f"{flavour}: {labels.get(end.port.name, end.name)}: {count} of {expected.size} codes differ"
                )
        counts = (folder / "out" / f"{flavour}_counts.txt").read_text().split()
        expected_counts = [
            vectors.count(index, counter) for index, unit in enumerate(design.units) for counter in unit.block.counters
        ]
        for counter, got, wanted in zip(design.counters, counts, expected_counts, strict=True):
            if int(got) != wanted:
                wrong.append(f"{flavour}: {counter} is {got}, not {wanted}")
    return wrong


def findings(project: Path, target: str) -> list[str]:
    """What a project holds that cannot become hardware: floating point, a heap, recursion, state, unbounded loops, …"""
    root = project / target / "src"
    system = [find_headers(DIALECTS[target])]
    return list(map(str, static_check(sorted(root.glob("*.cpp")), include=[root, project / "sim"], system=system)))


def event_differences(design: Design, path: Path, frames: int) -> list[str]:
    """Processes whose logged reads and writes are not those of their token programs, in any frame."""
    network = design.network()
    expected = {
        own.name: [
            ("r" if isinstance(step, Read) else "w", network.fifos[step.fifo].name, step.count)
            for step in events(own.program)
        ]
        for own in network.processes
    }
    log = read_log(path)
    wrong = [] if len(log) == frames else [f"{len(log)} frames are in the log of events, not {frames}"]
    for frame, seen in enumerate(log):
        for name in sorted(set(seen) | set(expected)):
            if seen.get(name) != expected.get(name):
                wrong.append(f"events of {name}, frame {frame}: {seen.get(name)} instead of {expected.get(name)}"[:500])
    return wrong


def check(
    cases: Sequence[Case],
    target: str,
    folder: Path,
    *,
    choices: Choices | None = None,
    level: str = "-O0",
    reach: bool = True,
) -> None:
    """Assert that all codes and counters of all cases are those of `Kernel.run`; and, but for `reach`, that clamps are reached."""
    plan = plan_of(cases)
    vectors = run_codes(plan, codes_of(plan, cases))
    if reach:
        check_reach(cases, vectors)
    wrong = differences(plan, vectors, target, folder, choices=choices, level=level)
    assert not wrong, "\n".join(wrong)


def check_reach(cases: Sequence[Case], vectors: Vectors) -> None:
    """Assert that cases are worth their while: several frames each, and, of every kernel, results beyond an end of their format."""
    assert vectors.frames >= 3
    lost: Counter[str] = Counter()
    for index, case in enumerate(cases):
        lost[type(case.kernel).kind] += vectors.count(index, OVERFLOW)
    unclamped = [kind for kind, count in lost.items() if not count and kind != Lookup.kind]
    assert not unclamped, f"no result of {', '.join(unclamped)} overflows"


def draw_format(rng: random.Random, target: str, widths: tuple[int, int] = (2, 12)) -> Format:
    """A format of any sign and any modes that a target has."""
    width = rng.randint(*widths)
    signed = rng.random() < 0.75
    roundings = [mode for mode in Rounding if target == "catapult" or mode is not Rounding.RND_CONV_ODD]
    return Format(width, rng.randint(-1, width + 1), signed, rng.choice(roundings), rng.choice(list(Overflow)))


def draw_encoding(rng: random.Random, format_: Format, normalize: str, exponent: int = 0) -> Encoding:
    """An encoding of a format: plain, moved by a power of two, or affine with a zero that is a code."""
    if normalize == "none":
        return Encoding(format_)
    if normalize == "pow2" or format_.width < 2:
        return Encoding(format_, exponent)
    zero = rng.randint(format_.lowest_code, format_.max_code)
    return Encoding(format_, exponent, 1.0 + rng.randrange(1 << 20) / (1 << 20), zero)


def draw_codes(rng: random.Random, format_: Format, shape: Sequence[int]) -> Array:
    """Codes of a format, its ends among them; some frames hold nothing else, so that sums reach their clamps."""
    numbers = np.random.default_rng(rng.randrange(1 << 32))
    codes = numbers.integers(format_.min_code, format_.max_code, shape, np.int64, endpoint=True)
    ends = numbers.choice(np.array([format_.min_code, format_.max_code], np.int64), shape)
    few = numbers.random(shape) < 0.15
    codes[few] = ends[few]
    if len(codes) > 1:
        codes[-1] = ends[-1]
    if len(codes) > 2:
        codes[-2] = format_.max_code
    return codes


def fitting_exponent(rng: random.Random, reach: float, format_: Format) -> int:
    """Exponent with which numbers up to about `reach` fill a format, or overflow it, or leave some of it empty."""
    largest = float(max(format_.max_value, -format_.min_value)) or 1.0
    return round(math.log2(max(reach, 2.0**-40) / largest)) + rng.randint(-2, 1)
