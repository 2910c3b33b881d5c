"""Division by constants as a product and a shift: the numbers that fx::divide_round of templates/include/fx_divide.h is given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Magic(NamedTuple):
    """floor(n / divisor) = floor(n · number / 2**places) for every n below 2**bits."""

    number: int
    places: int


def magic(divisor: int, bits: int) -> Magic:
    """Smallest number that divides integers of some bits by a constant.

    Parameters
    ----------
    divisor
        Positive.
    bits
        Bits of the dividend without its sign: W - 1 - shift for ``fx::divide_round<MODE, shift, …>`` of W bits, at least 1.

    Notes
    -----
    With number = ceil(2**places / divisor), the product exceeds n / divisor · 2**places by n · e / divisor, where e = number · divisor -
    2**places. It stays below the next multiple of 2**places as long as n · e < 2**places (Granlund and Montgomery, "Division by invariant
    integers using multiplication", 1994). places = bits + ceil(log2 divisor) always does.
    """
    if divisor < 1 or bits < 1:
        raise ValueError(f"a divisor and its dividend's bits must be positive, not {divisor} and {bits}")
    largest = (1 << bits) - 1
    places = 0
    while True:
        number = -(-(1 << places) // divisor)
        if largest * (number * divisor - (1 << places)) < 1 << places:
            return Magic(number, places)
        places += 1


def magic_numbers(divisors: Sequence[int], bits: int) -> tuple[list[int], int]:
    """Numbers of several divisors that share their places; see `magic`."""
    places = max(magic(divisor, bits).places for divisor in divisors)
    # More places are good as well: the excess e at most doubles with each of them.
    return [-(-(1 << places) // divisor) for divisor in divisors], places
