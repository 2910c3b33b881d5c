"""Bit-accurate fixed-point simulation of neural networks from ONNX, compared with FP32.

>>> import fxnorm as fx
>>> graph = fx.load("model.onnx")                                      # doctest: +SKIP
>>> plan = fx.plan(graph, fx.calibrate(graph, samples), format="q5.3")  # doctest: +SKIP
>>> result = fx.simulate(plan, samples)                                # doctest: +SKIP
>>> print(fx.compare(fx.reference(graph, samples), result))            # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fxnorm.api import (
        advise,
        attribute,
        bounds,
        calibrate,
        compare,
        load,
        load_plan,
        plan,
        reference,
        save_plan,
        simulate,
    )
    from fxnorm.emission import emit
    from fxnorm.errors import FxnormError
    from fxnorm.exact_onnx.export import export
    from fxnorm.fixed.format import Format, Overflow, Rounding
    from fxnorm.hls.cosim import cosim
    from fxnorm.searching.interface import search
    from fxnorm.sweeping.interface import sweep

__all__ = [
    "Format",
    "FxnormError",
    "Overflow",
    "Rounding",
    "advise",
    "attribute",
    "bounds",
    "calibrate",
    "compare",
    "cosim",
    "emit",
    "export",
    "load",
    "load_plan",
    "plan",
    "reference",
    "save_plan",
    "search",
    "simulate",
    "sweep",
]

_HOMES = {
    **dict.fromkeys(
        (
            "advise",
            "attribute",
            "bounds",
            "calibrate",
            "compare",
            "load",
            "load_plan",
            "plan",
            "reference",
            "save_plan",
            "simulate",
        ),
        "fxnorm.api",
    ),
    "FxnormError": "fxnorm.errors",
    **dict.fromkeys(("Format", "Overflow", "Rounding"), "fxnorm.fixed.format"),
    "cosim": "fxnorm.hls.cosim",
    "emit": "fxnorm.emission",
    "export": "fxnorm.exact_onnx.export",
    "search": "fxnorm.searching.interface",
    "sweep": "fxnorm.sweeping.interface",
}


def __getattr__(name: str) -> Any:
    # Loaded when asked for: `fxnorm --help` must not pay for NumPy.
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
