"""The Pareto front, against its definition."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fxnorm.page.front import on_front

COORDINATES = st.integers(-4, 4).map(float)


@given(st.lists(st.tuples(COORDINATES, COORDINATES), max_size=30))
def test_a_point_is_on_it_where_no_other_beats_it(points):
    def beats(one: tuple[float, float], other: tuple[float, float]) -> bool:
        return one[0] <= other[0] and one[1] >= other[1] and one != other

    assert on_front(points) == [not any(beats(other, own) for other in points) for own in points]
