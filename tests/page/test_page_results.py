"""Results put side by side: lines, layers of several configurations, names."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from page_results import HOSTILE, layer, results, row

from fxnorm.page.results import LONGEST_LAYER, distinct, merged

ENTRIES = st.sampled_from("abcdefgh")


@given(st.sets(ENTRIES), st.lists(st.sets(ENTRIES), max_size=5))
def test_layers_keep_the_order_of_the_network(first, others):
    """Configurations of one network have their common layers in one order."""
    sequences = [sorted(one) for one in [first, *others]]
    order = merged(sequences)
    assert sorted(order) == sorted(set().union(*sequences))
    for sequence in sequences:
        for before, after in pairwise(sequence):
            if any({before, after} <= set(one) for one in sequences[:1]):
                assert order.index(before) < order.index(after)
    assert [entry for entry in order if entry in first] == sorted(first)


@given(st.lists(st.sampled_from(["a", "a (2)", "b", ""]), max_size=8))
def test_names_become_distinct(names):
    found = distinct(names)
    assert len(set(found)) == len(names)
    assert all(own.startswith(name) for own, name in zip(found, names, strict=True))


def test_a_line_is_a_normalization_and_whatever_else_was_varied_and_given():
    rows = [
        row(varied={"width": "8", "normalize": "pow2", "norm_algorithm": "default"}),
        row(width=6, varied={"width": "6", "normalize": "pow2", "norm_algorithm": "two_pass"}),
        row(width=4, varied={"width": "4", "normalize": "pow2", "norm_algorithm": "default"}),
        row(refused="too wide", normalize="affine"),
    ]
    found = results(*rows)
    assert found.series == ("pow2", "pow2, norm algorithm two_pass")
    assert [one.width for one in found.in_series("pow2")] == [4, 8]
    assert found.widths == (4, 6, 8)


def test_costs_that_do_not_differ_are_no_trade_off():
    assert results(row(), row(width=6)).cost_names == ("area", "bits")
    assert results(row(cost={"area": 1.0, "bits": 2.0}), row(cost={"area": 1.0, "bits": 3.0})).cost_names == ("bits",)
    assert results(row(cost={"area": 1.0}), row(cost={"bits": 3.0})).cost_names == ()
    assert results(row(refused="too wide", cost={})).cost_names == ()


def test_names_of_layers_are_fit_for_print_and_distinct():
    found = results(row(layers=tuple(layer(name, name=name) for name in HOSTILE))).layer_names
    assert len(set(found.values())) == len(HOSTILE)
    for name in found.values():
        assert name.isprintable()
        assert len(name) <= LONGEST_LAYER + len(" (9)")


def test_long_names_are_told_apart_by_what_differs():
    names = [f"{'model/block/' * 20}{index}/{'x' * 100}" for index in range(3)]
    found = results(row(layers=tuple(layer(name, name=name) for name in names))).layer_names
    assert len(set(found.values())) == 3
    assert not any(name.endswith(")") for name in found.values())
