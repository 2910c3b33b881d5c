"""Attribution of a normalization's error to its stages: cases whose answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.kernels.encoding import Encoding
from fxnorm.kernels.kernel import NormPolicy, Policy
from fxnorm.kernels.norm import NormOperation
from fxnorm.kernels.stage import Tally
from fxnorm.report.attribution import _Datapath, attribute

X = Encoding(Format(16, 5))
WIDE = Format(24, 5)
FINE = {
    "mean": Format(24, 5),
    "square": Format(40, 12, False),
    "variance": Format(40, 12, False),
    "root": Format(32, 8, False),
}
COARSE = {
    "mean": Format(6, 5),
    "square": Format(14, 12, False),
    "variance": Format(13, 12, False),
    "root": Format(12, 8, False),
}


def data(count=64, groups=40, seed=0):
    rng = np.random.default_rng(seed)
    scale, bias = np.exp(rng.normal(0, 0.4, count)), rng.normal(0, 0.5, count)
    return X.encode(rng.normal(3.0, 1.7, (groups, count))), scale, bias


def attributed(algorithm, stages, weight=WIDE, output=WIDE):
    codes, scale, bias = data()
    operation = NormOperation((64,), (0,), "variance", 1e-5, scale=scale, bias=bias)
    y = Encoding(output)
    norm = NormPolicy(algorithm, **stages)
    kernel = operation.decide([X], y, Policy(output, weight, norm=norm))
    return attribute(kernel, operation, [X], y, [codes])


@pytest.mark.parametrize("stage", list(COARSE))
@pytest.mark.parametrize("algorithm", ["two_pass", "one_pass"])
def test_the_one_coarse_stage_is_found(algorithm, stage):
    """Everything fine but one: replacing that one gains, and replacing any other gains nothing."""
    found = attributed(algorithm, {**FINE, stage: COARSE[stage]})
    costs = found.costs_db
    assert list(costs) == ["mean", "square", "variance", "root", "scale", "bias", "requantization"]
    assert max(costs, key=costs.get) == stage
    assert costs[stage] > 12.0, costs
    assert all(abs(cost) < 1.0 for name, cost in costs.items() if name != stage), costs


@pytest.mark.parametrize("algorithm", ["exact", "two_pass"])
def test_a_coarse_scale_and_a_coarse_output_are_found(algorithm):
    stages = FINE if algorithm != "exact" else {}
    costs = attributed(algorithm, stages, weight=Format(4, 3)).costs_db
    assert max(costs, key=costs.get) == "scale"
    assert costs["scale"] > 12.0
    costs = attributed(algorithm, stages, output=Format(8, 5)).costs_db
    assert max(costs, key=costs.get) == "requantization"
    assert costs["requantization"] > 12.0


def test_a_result_without_error_has_infinite_decibels():
    """Two values and no ε: x̂ is ±1, and the last rounding hides the root's last bits; without it they are seen."""
    codes = np.array([[0, 512], [512, 0], [1024, 512]])
    operation = NormOperation((2,), (0,), "variance", 0.0)
    y = Encoding(Format(8, 4))
    found = attribute(operation.decide([X], y, Policy(y.format, y.format)), operation, [X], y, [codes])
    assert math.isinf(found.sqnr_db)
    assert found.costs_db == {"root": 0.0, "requantization": pytest.approx(-math.inf)}


def test_the_uniform_noise_of_rounding_is_measured():
    """Requantization alone to a step q: noise q² / 12, against a signal of power 1."""
    codes, _, _ = data(groups=400)
    operation = NormOperation((64,), (0,), "variance", 0.0)
    y = Encoding(Format(8, 5))
    found = attribute(operation.decide([X], y, Policy(y.format, y.format)), operation, [X], y, [codes])
    assert found.sqnr_db == pytest.approx(10 * math.log10(12 * 64), abs=0.2)
    assert found.costs_db["root"] == pytest.approx(0.0, abs=0.01)


@pytest.mark.parametrize("form", ["variance", "mean_square", "sum_square", "sum_abs"])
@pytest.mark.parametrize("algorithm", ["exact", "two_pass", "one_pass"])
@pytest.mark.parametrize("rounding", [Rounding.RND, Rounding.TRN, Rounding.RND_CONV])
def test_without_a_replacement_the_datapath_is_the_kernel(form, algorithm, rounding):
    """Eight bits: float64 holds every number of the datapath, and the codes come out equal (but where a root differs in its last place)."""
    format_ = Format(8, 4, True, rounding, Overflow.SAT)
    x = Encoding(format_, 1)
    codes = x.encode(np.random.default_rng(0).normal(1.0, 2.0, (30, 16)))
    operation = NormOperation(
        (2, 8),
        (1,),
        form,
        0.4 if form in ("variance", "mean_square") else 0.0,
        scale=np.linspace(0.5, 2, 8).reshape(1, 8),
        low=0.0,
    )
    y = Encoding(format_, -1)
    # ε, 0.1 in fixed point, is below half a step of the variance.
    norm = NormPolicy(algorithm, variance=None if algorithm == "exact" else Format(12, 10, False, rounding))
    kernel = operation.decide([x], y, Policy(format_, format_, norm=norm))
    got = y.decode(kernel.run([codes], Tally())).reshape(-1, 2, 8)
    model = _Datapath(kernel, operation, [x], y, [codes]).run(frozenset())
    # A root that is a power of two comes out a unit of its last place too small, which truncation makes a whole step of its format.
    assert (got == model).mean() > (0.99 if rounding is not Rounding.TRN else 0.8)
    assert np.abs(got - model).max() <= 2.0**y.lsb * (1 if algorithm == "exact" else 2)


def test_computed_scales_are_taken_for_exact():
    codes, scale, _ = data()
    s = Encoding(Format(12, 4))
    operation = NormOperation((64,), (0,), "mean_square", 1e-5, scale_shape=(1, 64))
    y = Encoding(Format(8, 5))
    kernel = operation.decide([X, s], y, Policy(y.format, y.format))
    found = attribute(kernel, operation, [X, s], y, [codes[None], s.encode(scale)[None]])
    assert list(found.costs_db) == ["root", "requantization"]
    assert found.costs_db["requantization"] > 12.0
