from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fxnorm.report.text import common_prefix, labels, printable, shortened

NAMES = st.lists(st.text(alphabet="ab/.;:_1", max_size=30), max_size=8)


@given(st.text())
def test_printable_text_is_one_line_that_a_terminal_does_not_obey(text: str) -> None:
    clean = printable(text)
    assert len(clean) == len(text)
    assert clean.isprintable()
    assert all(a in (b, "\ufffd") for a, b in zip(clean, text, strict=True))


@pytest.mark.parametrize(
    ("names", "prefix"),
    [
        ([], ""),
        (["model/conv"], ""),
        (["model/conv", "model/dense"], "model/"),
        (["a/b/c/one", "a/b/c/two"], "a/b/c/"),
        (["/one", "/two"], ""),  # hardly worth a word
        (["model/conv", "model/dense", "model/pool", "Identity"], "model/"),
        (["model/conv", "Identity"], ""),
        (["model/", "model/a"], ""),  # nothing of the first name would be left
        (["model.layers.0", "model.layers.1", "model.layers.2", "model.head"], "model.layers."),
        (["model.layers.0", "model.layers.1", "model.head", "model.tail"], "model."),
        (["convolution1", "convolution2"], ""),
    ],
)
def test_common_prefix(names: list[str], prefix: str) -> None:
    assert common_prefix(names) == prefix


@given(NAMES)
def test_a_common_prefix_is_one(names: list[str]) -> None:
    prefix = common_prefix(names)
    if prefix:
        assert prefix[-1] in "/.:"
        assert sum(name.startswith(prefix) and name != prefix for name in names) >= 3 / 4 * len(names)


@given(NAMES)
def test_labels_keep_names_apart_and_end_as_they_do(names: list[str]) -> None:
    short, left_out = labels(names)
    assert len(short) == len(names)
    assert all(name.endswith(label) for name, label in zip(names, short, strict=True))
    assert bool(left_out) == (short != names)
    assert all(label for label, name in zip(short, names, strict=True) if name)


def test_labels_of_fused_names() -> None:
    fused = [f"net/act_{i}/Relu;net/bn_{i}/Fused;net/last/Conv2D;net/conv_{i}/Conv2D" for i in range(3)]
    short, left_out = labels([*fused, "Identity"])
    assert short == ["conv_0/Conv2D", "conv_1/Conv2D", "conv_2/Conv2D", "Identity"]
    assert left_out == 'what stands before ";" and "net/"'


def test_fused_names_that_end_alike_stay() -> None:
    names = ["a/one;b/same", "a/two;b/same"]
    assert labels(names) == (names, "")


def test_a_long_hostile_name_takes_no_time() -> None:
    names = ["/" * 1_000_000, "/" * 1_000_000 + "a"]
    assert labels(names)[0]


@given(NAMES, st.integers(1, 40))
def test_shortened_names_fit(names: list[str], width: int) -> None:
    short = shortened(names, width)
    for name, label in zip(names, short, strict=True):
        assert len(label) <= width
        assert label == name if len(name) <= width else "…" in label


@pytest.mark.parametrize("names", [["a" * 30 + str(i) for i in range(9)], [str(i) + "a" * 30 for i in range(9)]])
def test_names_are_cut_where_they_are_alike(names: list[str]) -> None:
    assert len(set(shortened(names, 12))) == len(names)
