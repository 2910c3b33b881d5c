"""What an engineer writes in NumPy: the layers of a plan one after the other, sums of products in int64, without counters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from fxnorm.kernels.linear import Linear
from fxnorm.kernels.stage import Tally
from fxnorm.planning.plan import Plan

Array = np.ndarray


def run(plan: Plan, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Codes of every value, int64 [samples, *shape]."""
    codes = {name: plan.values[name].encoding.encode(inputs[name]) for name in plan.inputs}
    for layer in plan.layers:
        given = [codes[name] for name in layer.inputs]
        if isinstance(layer.kernel, Linear):
            codes[layer.output] = _linear(layer.kernel, given[0])
        else:
            codes[layer.output] = layer.kernel.run(given, Tally())
    return codes


def _linear(kernel: Linear, x: Array) -> Array:
    weights = kernel.weights.astype(np.int64)
    if kernel.window is None:
        return kernel.stage.run(x @ weights.T + kernel.bias, Tally())
    window = kernel.window
    frames = window.pad(x.reshape(-1, *x.shape[2:]), kernel.padding)
    (rows, columns), (down, right) = window.kernel, window.strides
    view = sliding_window_view(frames, (rows, columns), axis=(2, 3))[:, :, ::down, ::right]
    if kernel.groups != 1 or window.dilations != (1, 1):
        raise NotImplementedError("convolutions in groups, or dilated")
    # [n, h, w, o] from [n, c, h, w, kh, kw] and [o, c, kh, kw].
    acc = np.tensordot(view, weights, axes=((1, 4, 5), (1, 2, 3))).transpose(0, 3, 1, 2)
    acc = acc + kernel.bias.reshape(-1, 1, 1)
    stage = replace(kernel.stage, shift=np.reshape(kernel.stage.shift, (-1, 1, 1)))
    y = stage.run(acc, Tally())
    return y.reshape(*x.shape[:2], *y.shape[1:])
