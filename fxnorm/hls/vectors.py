"""Stimuli and expected codes: what the plan's own kernels give, as integers in text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from fxnorm.errors import DataError
from fxnorm.hls.block import ACCUMULATOR, OVERFLOW
from fxnorm.hls.float_words import with_words, word_limits
from fxnorm.kernels.leading_one import words
from fxnorm.kernels.stage import Tally
from fxnorm.planning.plan import Plan
from fxnorm.simulation import Simulator

Array = np.ndarray


@dataclass(frozen=True)
class Vectors:
    """Codes of some frames.

    Attributes
    ----------
    codes
        int64 [frames, *shape] of every value of the plan.
    tallies
        What every layer counted, in the order of the plan's.
    """

    codes: Mapping[str, Array]
    tallies: tuple[Tally, ...] = field(repr=False)

    @property
    def frames(self) -> int:
        """How many frames."""
        return len(next(iter(self.codes.values())))

    def count(self, layer: int, counter: str) -> int:
        """What a counter of a layer must come to."""
        tally = self.tallies[layer]
        if counter == OVERFLOW:
            return tally.overflow
        if counter == ACCUMULATOR:
            return tally.accumulator_overflow
        return tally.stages.get(counter.replace("_", " "), 0)


def run_codes(plan: Plan, inputs: Mapping[str, Array]) -> Vectors:
    """Run codes through a plan's kernels, each by its own definition.

    Parameters
    ----------
    inputs
        int64 codes of the plan's inputs, [frames, *shape].
    """
    codes = {name: np.asarray(inputs[name], np.int64) for name in plan.inputs}
    tallies = []
    for layer in plan.layers:
        tally = Tally()
        codes[layer.output] = np.asarray(layer.kernel.run([codes[name] for name in layer.inputs], tally))
        tallies.append(tally)
    return Vectors(codes, tuple(tallies))


def run_samples(plan: Plan, samples: Mapping[str, Array], frames: int) -> Vectors:
    """Quantize the first samples as the plan says, and run them; inputs with a nonlinear normalization stay words of float32.

    Parameters
    ----------
    samples
        Real numbers (or indices) of the plan's inputs, [samples, *shape].
    frames
        At most how many of them.
    """
    first = {name: array[:frames] for name, array in samples.items()}
    if not len(next(iter(first.values()))):
        raise DataError("emit: at least one sample must be given for the testbench; the data has none")
    seen: dict[str, list[Array]] = {name: [] for name in plan.inputs}

    def watch(name: str, codes: Array) -> None:
        if name in seen:
            seen[name].append(codes)

    Simulator(plan, workers=1).run(first, watch=watch)
    codes = {name: np.concatenate(parts) for name, parts in seen.items()}
    return run_codes(with_words(plan), codes | {name: words(first[name]) for name in plan.transforms})


def text(codes: Array) -> bytes:
    """Integers of some frames, one frame a line, each in the order of its shape."""
    rows = np.asarray(codes).reshape(len(codes), -1)
    return "".join(" ".join(map(str, row)) + "\n" for row in rows.tolist()).encode()


def parse(content: bytes) -> Array:
    """Integers of a vector file, [frames, elements]; the opposite of `text`."""
    rows = [[int(word) for word in line.split()] for line in content.decode("ascii").splitlines()]
    return np.array(rows, np.int64)


def random_codes(plan: Plan, frames: int, seed: int = 0) -> dict[str, Array]:
    """Codes over the whole of every input's format, its ends more often than chance; the last frame holds nothing but ends.

    Words of float32 are those of finite numbers that their function takes.

    Raises
    ------
    DataError
        If an input holds indices, which codes by chance are not.
    """
    if plan.integer_inputs:
        raise DataError(
            f"emit: input {plan.integer_inputs[0]!r} takes indices, for which random codes will not do; give samples with --data"
        )
    rng = np.random.default_rng(seed)
    limits = word_limits(plan)
    codes = {}
    for name in plan.inputs:
        value = plan.values[name]
        low, high = limits.get(name, (value.encoding.format.lowest_code, value.encoding.format.max_code))
        drawn = rng.integers(low, high, (frames, *value.shape), np.int64, endpoint=True)
        ends = rng.choice(np.array([low, high], np.int64), drawn.shape)
        some = rng.random(drawn.shape) < 1 / 16
        drawn[some] = ends[some]
        drawn[-1] = ends[-1]
        codes[name] = drawn
    return codes
