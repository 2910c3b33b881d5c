"""What may be chosen for a plan: every option does something, every wrong one is refused by name."""

from __future__ import annotations

import numpy as np
import pytest
from oracles import networks

import fxnorm as fx
from fxnorm.errors import FormatError, UsageError
from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.planning.options import LAYER_KEYS, LayerRule, Options


@pytest.fixture(scope="module")
def network():
    proto = networks.dense()
    graph = fx.load(proto)
    given = networks.samples(32, proto=proto)
    return graph, fx.calibrate(graph, given), given


def test_defaults():
    policy = Options.make("q5.3").policy("any")
    assert policy.format == Format(8, 5, True, Rounding.RND, Overflow.SAT)
    assert (policy.weight_format.width, policy.weight_format.fraction_bits, policy.weight_format.signed) == (8, 3, True)
    assert policy.accumulator is policy.product_format is None
    assert policy.normalize == "pow2"


@pytest.mark.parametrize(
    "text", ["q5.3", "uq5.3", "q-2.10", "q10.-2", "ti:q4.3", "ac_fixed<8,5,true>", "ap_ufixed<8,5>", "fxp-s8/3"]
)
def test_every_spelling_of_a_format(text):
    options = Options.make(text, weight_format=text, accumulator=text, product_format=text)
    policy = options.policy("layer")
    wanted = Format.parse(text)
    assert policy.format == policy.weight_format == policy.accumulator == policy.product_format == wanted
    assert options.record()["format"] == text


def test_weights_of_an_unsigned_format_are_signed():
    assert Options.make("uq5.3").policy("x").weight_format == Format(8, 5, True)


def test_modes_hold_for_formats_that_name_none():
    policy = Options.make(
        "q5.3",
        accumulator="q10.6:trn,wrap",
        product_format="q4.4",
        weight_format="q2.6",
        rounding="rnd_zero",
        overflow="sat_sym",
    ).policy("x")
    assert (policy.format.rounding, policy.format.overflow) == (Rounding.RND_ZERO, Overflow.SAT_SYM)
    assert (policy.product_format.rounding, policy.product_format.overflow) == (Rounding.RND_ZERO, Overflow.SAT_SYM)
    assert (policy.accumulator.rounding, policy.accumulator.overflow) == (Rounding.TRN, Overflow.WRAP)


@pytest.mark.parametrize("rounding", list(Rounding))
@pytest.mark.parametrize("overflow", list(Overflow))
def test_every_mode_is_taken(rounding, overflow):
    policy = Options.make("q5.3", rounding=str(rounding), overflow=str(overflow)).policy("x")
    assert policy.format == Format(8, 5, True, rounding, overflow)
    assert Options.make(f"q5.3:{rounding},{overflow}").policy("x").format == policy.format


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"format": "q0.0"}, "--format.*q0.0"),
        ({"format": "q5"}, "--format.*q5"),
        ({"format": "q40.40"}, "--format.*q40.40.*32 bits"),
        ({"format": ""}, "--format"),
        ({"format": "q5.3", "weight_format": "q33.0"}, "--weight-format.*32"),
        ({"format": "q5.3", "accumulator": "q100.29"}, "--accumulator.*128"),
        ({"format": "q5.3", "product_format": "x"}, "--product-format.*'x'"),
        ({"format": "q5.3", "rounding": "nearest"}, "--rounding.*rnd_conv.*'nearest'"),
        ({"format": "q5.3", "overflow": "clip"}, "--overflow.*wrap.*'clip'"),
        ({"format": "q5.3", "normalize": "log"}, "--normalize.*none, pow2.*'log'"),
        ({"format": "q5.3", "calibration": "median"}, "--calibration.*minmax.*'?median"),
        ({"format": "q5.3", "batchnorm": "keep"}, "--batchnorm.*fold, rescale.*'keep'"),
        ({"format": "q5.3", "speed": "high"}, "no option 'speed'.*weight_format"),
        ({"format": "q5.3:trn", "rounding": "rnd"}, "--format.*trn.*contradict.*--rounding rnd"),
        ({"format": "q5.3:trn,wrap", "overflow": "sat"}, "--format.*wrap.*contradict.*--overflow sat"),
        ({"format": "ap_fixed<8,5>", "rounding": "rnd"}, "--format.*contradict"),
        ({"format": "q5.3", "layers": ["conv"]}, "--layer.*NAME:KEY=VALUE.*'conv'"),
        ({"format": "q5.3", "layers": ["conv:format"]}, "--layer.*NAME:KEY=VALUE"),
        ({"format": "q5.3", "layers": [":format=q5.3"]}, "--layer.*NAME:KEY=VALUE"),
        ({"format": "q5.3", "layers": ["conv:width=8"]}, "--layer.*key must be one of format, .*'width'"),
        ({"format": "q5.3", "layers": ["conv:batchnorm=fold"]}, "--layer.*'batchnorm'"),
        ({"format": "q5.3", "layers": "conv:format=q5.3"}, "--layer"),
    ],
)
def test_wrong_choices_are_refused_by_name(chosen, message):
    with pytest.raises(UsageError, match=message):
        Options.make(**chosen)


def test_the_same_mode_twice_is_no_contradiction():
    assert Options.make("q5.3:trn,wrap", rounding="trn", overflow="wrap").policy("x").format.rounding is Rounding.TRN


@pytest.mark.parametrize(
    ("text", "pattern", "key", "value"),
    [
        ("conv1:format=q8.8", "conv1", "format", "q8.8"),
        ("conv*:format=q8.8:trn,wrap", "conv*", "format", "q8.8:trn,wrap"),
        ("model/dense:0:accumulator=q10.6:trn,wrap", "model/dense:0", "accumulator", "q10.6:trn,wrap"),
        ("a:b:c:rounding=trn", "a:b:c", "rounding", "trn"),
        ("layers[0]:weight-format=q2.6", "layers[0]", "weight-format", "q2.6"),
        ("x=y:normalize=none", "x=y", "normalize", "none"),
        ("two words:overflow=wrap", "two words", "overflow", "wrap"),
        ("a:product-format=ac_fixed<8,5,true>", "a", "product-format", "ac_fixed<8,5,true>"),
    ],
)
def test_rules_with_any_name(text, pattern, key, value):
    rule = LayerRule.parse(text)
    assert (rule.pattern, rule.key, rule.value) == (pattern, key, value)
    assert rule.matches(pattern)
    assert Options.make("q5.3", layers=[text]).record()["layers"] == [text]


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("conv*", "conv1", True),
        ("conv*", "preconv1", False),
        ("*conv?", "preconv1", True),
        ("Conv1", "conv1", False),
        ("layers[0]", "layers[0]", True),  # the name itself, though a glob would mean something else
        ("layers[0]", "layers0", True),
        ("layers[0]", "layers1", False),
        ("*", "a/b:c", True),
        ("/model/*/Conv", "/model/0/Conv", True),
    ],
)
def test_patterns(pattern, name, matches):
    assert LayerRule(pattern, "format", "q5.3").matches(name) == matches


def test_the_last_rule_wins_and_others_keep_what_they_have():
    options = Options.make(
        "q5.3", layers=["conv*:format=q8.8", "conv2:format=q4.4", "*:rounding=trn", "dense:weight-format=q1.3"]
    )
    assert options.policy("conv1").format == Format(16, 8, True, Rounding.TRN)
    assert options.policy("conv2").format == Format(8, 4, True, Rounding.TRN)
    assert options.policy("dense").format == Format(8, 5, True, Rounding.TRN)
    assert options.policy("dense").weight_format.width == 4
    # Weights follow the layer's own format where they have none.
    assert options.policy("conv1").weight_format == Format(16, 8)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("hidden:format=q99.0", "--format.*32 bits"),
        ("hidden:rounding=up", "rounding.*'up'"),
        ("hidden:overflow=clip", "overflow.*'clip'"),
        ("hidden:normalize=some", "normalize.*'some'"),
        ("hidden:accumulator=q0.0", "--accumulator.*q0.0"),
        ("nowhere:format=q5.3", "'nowhere'.*matches no layer.*hidden"),
    ],
)
def test_wrong_rules_are_refused_when_the_plan_is_made(network, rule, message):
    graph, ranges, _ = network
    with pytest.raises(UsageError, match=message):
        fx.plan(graph, ranges, "q5.3", layers=[rule])


# With a power-of-two normalization it is the width that counts: q5.3 and q4.4 hold the same numbers.
CHANGES = [
    {"format": "q5.4"},
    {"weight_format": "q1.4"},
    {"accumulator": "q4.4:trn,wrap"},
    {"product_format": "q3.3"},
    {"rounding": "trn"},
    {"overflow": "wrap"},
    {"normalize": "none"},
    {"layers": ["scores:format=q5.4"]},
    {"layers": ["hidden:weight-format=q1.2"]},
    {"layers": ["hidden:accumulator=q4.4:trn,wrap"]},
    {"layers": ["hidden:product-format=q3.3"]},
    {"layers": ["x:rounding=trn"]},
    {"layers": ["scores:overflow=wrap"]},
    {"layers": ["*:normalize=none"]},
]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_every_option_changes_the_numbers(network, change):
    """No option is accepted and then ignored: each gives other codes on some data, and another digest."""
    graph, ranges, given = network
    base = fx.plan(graph, ranges, "q5.3")
    other = fx.plan(graph, ranges, **{"format": "q5.3", **change})
    assert base.digest != other.digest
    far = given * 3
    one, two = fx.simulate(base, far, trace=True), fx.simulate(other, far, trace=True)
    assert any(not np.array_equal(one.traces[name].values, two.traces[name].values) for name in one.traces)


def test_batchnorm_is_folded_or_a_layer_of_its_own():
    graph = fx.load(networks.every_kernel())
    ranges = fx.calibrate(graph, networks.samples(8))
    folded, own = (fx.plan(graph, ranges, "q4.4", batchnorm=how) for how in ("fold", "rescale"))
    assert "Conv+BatchNormalization+Relu" in [layer.op for layer in folded.layers]
    assert {"Conv", "BatchNormalization+Relu"} <= {layer.op for layer in own.layers}


@pytest.mark.parametrize("change", [{"multiplier": "tensor"}, {"layers": ["hidden:multiplier=tensor"]}], ids=str)
def test_multipliers_of_affine_layers_are_chosen(network, change):
    graph, ranges, given = network
    base = fx.plan(graph, ranges, "q5.3", normalize="affine")
    assert base.digest != fx.plan(graph, ranges, "q5.3", normalize="affine", multiplier="channel").digest
    other = fx.plan(graph, ranges, "q5.3", normalize="affine", **change)
    stages = [{layer.name: layer.kernel for layer in plan.layers}["hidden"].stage for plan in (base, other)]
    assert [np.ndim(stage.multiplier) for stage in stages] == [1, 0]
    one, two = (fx.simulate(plan, given * 3, trace=True) for plan in (base, other))
    assert any(not np.array_equal(one.traces[name].values, two.traces[name].values) for name in one.traces)


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"multiplier": "tensor"}, "--multiplier: goes with --normalize affine"),
        ({"multiplier": "row", "normalize": "affine"}, "--multiplier: must be one of channel, tensor, not 'row'"),
        ({"layers": ["hidden:multiplier=row"], "normalize": "affine"}, "must be one of channel, tensor"),
        ({"layers": ["hidden:multiplier=tensor"]}, "no layer of that name has output channels with multipliers"),
        ({"layers": ["x:multiplier=tensor"], "normalize": "affine"}, "no layer of that name has output channels"),
    ],
    ids=str,
)
def test_multipliers_that_nothing_has_are_refused(network, chosen, said):
    graph, ranges, _ = network
    with pytest.raises(UsageError, match=said):
        fx.plan(graph, ranges, "q5.3", **chosen)


def test_trials_of_normalizations_leave_out_what_nothing_has():
    given = {"normalize": "affine", "multiplier": "tensor", "layers": ["a:format=q4.4", "a:multiplier=tensor"]}
    options = Options.make("q5.3", **given)
    assert options.renormalized("affine") == options
    assert options.renormalized("pow2") == Options.make("q5.3", layers=["a:format=q4.4"])
    mixed = options.renormalized("pow2", [LayerRule("b", "normalize", "affine")])
    assert (mixed.normalize, mixed.multiplier, len(mixed.layers)) == ("pow2", "tensor", 3)
    plain = Options.without_idle_multiplier({**given, "normalize": "pow2"})
    assert plain["multiplier"] is None
    assert plain["layers"] == ["a:format=q4.4"]
    assert Options.without_idle_multiplier(given) == given


def test_all_keys_of_rules_are_tried_here():
    tried = {rule.split(":", 1)[1].split("=")[0] for change in CHANGES for rule in change.get("layers", [])}
    elsewhere = {
        "multiplier",
        "calibration",
        "norm-algorithm",
        "mean-format",
        "square-format",
        "variance-format",
        "root-format",
    }
    assert tried | elsewhere >= set(LAYER_KEYS)


def test_a_wrong_format_is_a_value_error_too():
    with pytest.raises(FormatError):
        Options.make("q5")
    assert issubclass(FormatError, ValueError)
