"""Rounding and overflow modes: those of the Algorithmic C data types and of IEEE 1666 (SystemC), section 7.10."""

from __future__ import annotations

from enum import StrEnum


class Rounding(StrEnum):
    """What happens to the bits below the last one kept.

    The floor of the exact value is kept, and one is added to it where the condition below holds.  ``qb`` is the first
    dropped bit, ``r`` the OR of the other dropped bits, ``s`` the sign and ``l`` the last kept bit.

    =============  =====================  =================================
    mode           adds one if            -2.5, -1.5, 1.5, 2.5 become
    =============  =====================  =================================
    TRN            never                  -3, -2, 1, 2
    TRN_ZERO       s and (qb or r)        -2, -1, 1, 2
    RND            qb                     -2, -1, 2, 3
    RND_ZERO       qb and (s or r)        -2, -1, 1, 2
    RND_INF        qb and (not s or r)    -3, -2, 2, 3
    RND_MIN_INF    qb and r               -3, -2, 1, 2
    RND_CONV       qb and (l or r)        -2, -2, 2, 2
    RND_CONV_ODD   qb and (not l or r)    -3, -1, 1, 3
    =============  =====================  =================================
    """

    TRN = "trn"
    TRN_ZERO = "trn_zero"
    RND = "rnd"
    RND_ZERO = "rnd_zero"
    RND_INF = "rnd_inf"
    RND_MIN_INF = "rnd_min_inf"
    RND_CONV = "rnd_conv"
    RND_CONV_ODD = "rnd_conv_odd"


class Overflow(StrEnum):
    """What happens to a rounded code that the format cannot hold.

    WRAP keeps the low bits, SAT clamps to the nearest code, SAT_ZERO gives 0.  SAT_SYM clamps to ±(2^(W-1) - 1) and
    also moves -2^(W-1), which would fit, to its neighbour; unsigned it is SAT.
    """

    WRAP = "wrap"
    SAT = "sat"
    SAT_ZERO = "sat_zero"
    SAT_SYM = "sat_sym"
