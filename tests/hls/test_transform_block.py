"""Emitted logarithms, roots and powers of float32 words are those of `run`, and designs take such words at their inputs."""

from __future__ import annotations

import json
import random
from pathlib import Path

import emission
import numpy as np
import pytest
from emission import Case, needs_gxx, share
from small_models import dense

import fxnorm as fx
from fxnorm.errors import DataError, PlanError
from fxnorm.hls.choices import Choices
from fxnorm.hls.design import make_design
from fxnorm.hls.emit import emit
from fxnorm.hls.float_words import LARGEST, WORD, with_words
from fxnorm.hls.vectors import parse, random_codes, run_codes, run_samples
from fxnorm.kernels.encoding import Encoding
from fxnorm.kernels.leading_one import words
from fxnorm.kernels.transform import Transformation
from fxnorm.planning.plan import Plan, PlanValue

Array = np.ndarray

FRAMES = 4
SHAPES = ((1, 5), (2, 3, 2), (70,))
TEXTS = ("log", "log2", "log10", "sqrt", "power:0.1", "power:-0.25", "power:3", "power:1")
EDGES = np.array(
    [1.0, 2.0, 0.5, 1e-45, 1.1754942e-38, 1.17549435e-38, 3.4028235e38, 0.99999994, 1.0000001, 4.0, 1e-12], np.float32
)


def draw_words(rng: random.Random, text: str, shape: tuple[int, ...]) -> Array:
    """Words of any finite numbers, of numbers near 1, of edges, and of zero where it has a value."""
    numbers = np.random.default_rng(rng.randrange(1 << 32))
    drawn = numbers.integers(1, LARGEST, (FRAMES, *shape), np.int64, endpoint=True)
    near = words(np.exp2(numbers.normal(0, 4, drawn.shape)).astype(np.float32))
    edges = words(numbers.choice(EDGES, drawn.shape))
    chosen = numbers.integers(0, 6, drawn.shape)
    drawn = np.where(chosen < 3, near, np.where(chosen == 3, edges, drawn))
    if Transformation.parse(text).exponent > 0:
        drawn[chosen == 4] = 0
    return drawn


def draw_case(rng: random.Random, target: str, text: str, widths: tuple[int, int]) -> Case:
    shape = rng.choice(SHAPES)
    output = emission.draw_format(rng, target, widths)
    reach = 90.0 if text.startswith("log") else 2.0 ** rng.randint(-2, 12)
    exponent = emission.fitting_exponent(rng, reach, output)
    y = emission.draw_encoding(rng, output, rng.choice(["pow2", "affine"]), exponent)
    kernel = Transformation.parse(text).decide(y)
    x = PlanValue(shape, Encoding(WORD))
    return Case(f"{text} of words to {y}", kernel, (x,), PlanValue(shape, y), (draw_words(rng, text, shape),))


def drawn(rng: random.Random, target: str, texts: tuple[str, ...], widths: tuple[int, int] = (3, 10)) -> list[Case]:
    cases: list[Case] = []
    while len(cases) < len(texts):
        try:
            cases.append(draw_case(rng, target, texts[len(cases)], widths))
        except PlanError:
            continue
    return cases


@needs_gxx
def test_logarithms_and_powers(tmp_path: Path) -> None:
    emission.check(drawn(random.Random("transforms"), "catapult", ("log", "power:-0.25")), "catapult", tmp_path)


@needs_gxx
@pytest.mark.slow
@pytest.mark.parametrize("target", ["vitis", "catapult"])
def test_many_logarithms_and_powers(target: str, tmp_path: Path) -> None:
    rng = random.Random(f"many transforms {target}")
    cases = [*drawn(rng, target, TEXTS[:: 3 - share(target, 2)]), *drawn(rng, target, TEXTS[::3], (12, 28))]
    emission.check(cases, target, tmp_path)


def planned(text: str) -> tuple[Plan, Array]:
    """A dense network, and samples [40, *shape] of numbers over 20 decades."""
    rng = np.random.default_rng(3)
    x = np.exp(rng.normal(0, 10, (40, 4))).astype(np.float32)
    if text != "log":
        x[0, :3] = [0.0, -0.0, 1e-45]
    proto = dense()
    graph = fx.load(proto)
    plan = fx.plan(graph, fx.calibrate(graph, x, input_transform=text), format="q5.3", input_transform=text)
    return plan, x.reshape(40, *plan.values[plan.inputs[0]].shape)


def test_words_are_inputs_of_a_plan() -> None:
    plan, x = planned("sqrt")
    (name,) = plan.inputs
    made = with_words(plan)
    assert with_words(made) is made
    assert made.digest == plan.digest
    assert made.inputs == plan.inputs
    assert made.values[name].encoding == Encoding(WORD)
    assert len(made.layers) == len(plan.layers) + 1
    vectors = run_samples(plan, {name: x}, 9)
    assert np.array_equal(vectors.codes[name], words(x[:9]))
    simulated = fx.simulate(plan, x[:9])
    for output, value in made.outputs.items():
        assert np.array_equal(vectors.codes[value], simulated[output].codes.reshape(vectors.codes[value].shape))
    # Words by chance are those of numbers that a root has.
    drawn = random_codes(made, 50)[name]
    numbers = drawn.astype(np.uint32).view(np.float32)
    assert np.isfinite(numbers).all()
    assert numbers.min() == 0.0
    assert numbers.max() == np.finfo(np.float32).max


def test_words_of_zero_are_no_stimuli_of_logarithms() -> None:
    plan, x = planned("log")
    drawn = random_codes(with_words(plan), 50)[plan.inputs[0]]
    assert drawn.min() == 1
    with pytest.raises(DataError, match="positive numbers"):
        run_samples(plan, {plan.inputs[0]: x * 0}, 5)


def test_a_value_may_have_the_name_that_the_normalization_gives() -> None:
    plan, _ = planned("log")
    (name,) = plan.inputs
    values = {**plan.values, f"{name} (log)": plan.values[name]}
    made = with_words(Plan(**{**vars(plan), "values": values}))
    assert made.layers[0].output == f"{name} (log)'"
    assert made.layers[1].inputs == (f"{name} (log)'",)


@needs_gxx
@pytest.mark.slow
@pytest.mark.parametrize(("text", "target"), [("log", "vitis"), ("sqrt", "catapult")])
def test_networks_of_words(text: str, target: str, tmp_path: Path) -> None:
    plan, x = planned(text)
    made = make_design(plan, Choices.make(target)).plan
    stimuli = {"samples": run_samples(plan, {plan.inputs[0]: x}, 20), "chance": run_codes(made, random_codes(made, 20))}
    for name, vectors in stimuli.items():
        assert not emission.differences(made, vectors, target, tmp_path / name)


def test_a_project_says_that_it_takes_words(tmp_path: Path) -> None:
    plan, x = planned("log")
    project = emit(plan, tmp_path / "net", Choices.make("vitis"), {plan.inputs[0]: x})
    assert np.array_equal(parse(project.files["vectors/in0.txt"]), words(x.reshape(40, -1)))
    manifest = json.loads(project.files["manifest.json"])
    assert manifest["plan"]["digest"] == plan.digest
    assert [end["holds"] for end in manifest["inputs"]] == ["float32"]
    readme = project.files["README.md"].decode()
    assert "log of float32 words" in readme
    assert "`in0`: the 32 bits of float32 numbers" in readme
    assert b"typedef ap_ufixed<32,32,AP_RND,AP_SAT> t00_t;" in project.files["vitis/src/types.h"]
