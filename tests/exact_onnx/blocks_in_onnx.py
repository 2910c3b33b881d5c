"""Integer blocks alone: a graph of 64-bit inputs around one of them."""

from __future__ import annotations

import numpy as np
from oracles.onnx_runs import outputs

from fxnorm.exact_onnx.graph import GraphBuilder, Port
from fxnorm.exact_onnx.numbers import Arithmetic, Kind, Number


def run(block, *inputs, kind=Kind.INT64):
    """Results of a block of numbers, int64, for arrays of one shape; numbers have the ends of the arrays."""
    names = [f"x{index}" for index in range(len(inputs))]
    graph = GraphBuilder([*names, *(f"y{index}" for index in range(1000))])
    ops = Arithmetic(graph)
    numbers = [Number(name, kind, int(x.min()), int(x.max())) for name, x in zip(names, inputs, strict=True)]
    found = block(ops, *numbers)
    found = found if isinstance(found, tuple) else (found,)
    results, ports = [], []
    for index, number in enumerate(found):
        held = ops.words(number)
        graph.op("Identity", held.name, output=f"y{index}")
        ports.append(Port(f"y{index}", np.dtype(np.int64), None))
    given = [Port(name, kind.dtype, x.shape) for name, x in zip(names, inputs, strict=True)]
    model = graph.model(given, ports, version="0", notes={}, text="")
    got = outputs(
        model.SerializeToString(), {name: x.astype(kind.dtype) for name, x in zip(names, inputs, strict=True)}
    )
    for index, number in enumerate(found):
        array = got[f"y{index}"]
        assert array.min(initial=number.high) >= number.low, (array.min(), number)
        assert array.max(initial=number.low) <= number.high, (array.max(), number)
        results.append(array)
    return results[0] if len(results) == 1 else tuple(results)
