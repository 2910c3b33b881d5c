"""Every fast form of a kernel against its own integer run: codes and counts, whatever the order in memory."""

from __future__ import annotations

import numpy as np

from fxnorm.kernels.encoding import code_dtype
from fxnorm.kernels.stage import Tally
from fxnorm.metrics import Usage
from fxnorm.runtime import fast, groups, narrow
from fxnorm.runtime.program import FLOAT_WIDTH


def counted(codes, tally, format_):
    """Everything that a report counts for one value."""
    usage = Usage(overflow=tally.overflow, accumulator_overflow=tally.accumulator_overflow, additions=tally.additions)
    usage.add(codes, format_.lowest_code, format_.max_code, extent=tally.extent, ends=tally.ends)
    usage.count_stages(tally.stages)
    return usage


def forms(kernel, inputs, output):
    """Fast forms by name, each with the types that it takes its inputs in."""
    found = {}
    formats = [*inputs, output]
    if all(map(narrow.is_narrow, formats)):
        found["bytes"] = narrow.compiled(kernel, inputs, output), [code_dtype(format_) for format_ in inputs]
    if all(format_.width <= FLOAT_WIDTH for format_ in formats):
        found["floats"] = fast.compiled(kernel), [np.float32] * len(inputs)
        found["groups"] = groups.compiled(kernel), [np.int64] * len(inputs)
    return {name: form for name, form in found.items() if form[0] is not None}


def in_other_order(array):
    """The same array with its second axis last in memory, as convolutions leave it."""
    if array.ndim < 4:
        return array
    return np.ascontiguousarray(np.moveaxis(array, 2, -1)).transpose(0, 1, array.ndim - 1, *range(2, array.ndim - 1))


def agrees(kernel, codes, inputs, output):
    """Compare all forms that there are; returns their names and what the kernel's own run counted.

    Parameters
    ----------
    codes
        int64, one array an input.
    inputs, output
        Formats.
    """
    tally = Tally()
    wanted = kernel.run([array.copy() for array in codes], tally)
    usage = counted(wanted, tally, output)
    found = forms(kernel, inputs, output)
    for name, (run, dtypes) in found.items():
        for change in (np.ascontiguousarray, in_other_order):
            given = [change(array.astype(dtype)) for array, dtype in zip(codes, dtypes, strict=True)]
            before = [array.copy() for array in given]
            tally = Tally()
            got = run(given, tally)
            assert got.shape == wanted.shape, name
            assert np.array_equal(got.astype(np.int64), wanted), name
            assert counted(got, tally, output) == usage, name
            assert all(map(np.array_equal, given, before)), f"{name}: an input was changed"
    return set(found), usage
