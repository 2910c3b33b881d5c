"""Inputs that show a difference, made smaller."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fxnorm.hls.shrink import Inputs, shrink

SECONDS = 60.0


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 11)), min_size=1, max_size=4, unique=True),
    st.integers(0, 4),
    st.integers(0, 99),
)
def test_what_is_needed_stays_and_nothing_else(needed: list[tuple[str, int]], first: int, seed: int) -> None:
    """A difference that takes some codes of one frame that are not zero."""
    rng = np.random.default_rng(seed)
    inputs = {name: rng.integers(1, 100, (5, 12)) for name in "ab"}
    wanted = {(name, place, int(inputs[name][first, place])) for name, place in needed}

    def shows(candidate: Inputs) -> bool:
        frames = range(len(candidate["a"]))
        return any(all(candidate[name][frame, place] == code for name, place, code in wanted) for frame in frames)

    found = shrink(inputs, first, shows, SECONDS)
    assert found is not None
    assert {len(codes) for codes in found.values()} == {1}
    left = {
        (name, int(place), int(codes[0, place])) for name, codes in found.items() for place in np.flatnonzero(codes)
    }
    assert left == wanted


def test_frames_that_leave_state_behind_stay() -> None:
    """The last frame differs because of the one two before it."""
    inputs = {"a": np.arange(1, 9).reshape(8, 1)}

    def shows(candidate: Inputs) -> bool:
        codes = candidate["a"][:, 0].tolist()
        return 4 in codes and codes[-1] == 6

    found = shrink(inputs, 5, shows, SECONDS)
    assert found is not None
    assert found["a"].tolist() == [[4], [6]]


def test_what_does_not_come_again_is_no_input() -> None:
    assert shrink({"a": np.ones((3, 2), np.int64)}, 2, lambda candidate: False, SECONDS) is None


def test_time_runs_out() -> None:
    inputs = {"a": np.ones((1, 64), np.int64)}
    assert shrink(inputs, 0, lambda candidate: True, -1.0) is None
    seen = []

    def shows(candidate: Inputs) -> bool:
        seen.append(int(candidate["a"].sum()))
        return candidate["a"].sum() > 32

    found = shrink(inputs, 0, shows, SECONDS)
    assert found is not None
    assert found["a"].sum() == 33
    assert len(seen) < 300
