r"""What a kernel becomes in hardware: a block, all of whose numbers are computed, so that its template only writes them down.

Adding a kernel
---------------
1. ``fxnorm/hls/blocks/NAME.py`` with a function ``build(site: Site) -> Block``. It computes every width, constant table and magic number
   from ``site.kernel`` (with intervals: `fxnorm.hls.blocks.stage.Interval`), and puts them into a frozen view, a dataclass of its own.
   What the block cannot do it refuses with ``Refusal("why")``; whoever builds a project collects all refusals before it writes a file.
2. ``templates/kernels/NAME.cpp.j2``, which begins ``{% extends "kernels/layer.cpp.j2" %}`` and fills two blocks::

       {% block constants %}   ROMs:  {{ m.rom(k.weights) }}
       {% block core %}        the body of the core function, in the loops of ``m.loop``

   It sees ``k`` (the view), ``b`` (the block), ``site`` (name and ports), ``d`` (the dialect) and ``m`` (``kernels/macros.j2``: ``loop``,
   ``rom``, ``stage``). It computes nothing.
3. One line in ``fxnorm/hls/blocks/catalog.py``: the kernel's class, its function, and how its values like to travel.

The core
--------
The layer template makes of the core both functions of a layer, the one on streams and the one on arrays, whose wrappers are written once.
What the core works on is the block's style; ``x0``, ``x1``, … are its inputs, ``y`` is its output, arrays of the tensors' types:

=========  ===================================================================================================================
`Rows`     ``x0[row of input 0]``, … → ``y[row of the output]``; called for every row of one axis (by default the last one; with
           ``axis=None`` however values travel: element by element). With ``indexed``, ``int row`` counts rows. Where values do not
           travel in such rows, whole frames are read and cut into rows.
`Sliding`  ``x0[channel * taps + tap]`` → ``y[channels of the output]``: one window of an image; called for every pixel of the output.
           Padding is filled in. With ``indexed``, ``int pixel`` counts the pixels of an image.
`Frame`    whole values, ``x0[...]``, … → ``y[...]``, row-major in their shapes. Streams are read into arrays and written from them.
=========  ===================================================================================================================

A core has no state but local variables, which it initialises: frames follow one another. Codes go in by ``fx_code(x0[i])`` and out by
``fx_set(y[i], code)``, mostly by ``m.stage(stage, accumulator, target, channel)``, which does a whole `Rescale` and counts its overflow.
Counters are declared in `Block.counters` and counted by ``FX_COUNT({{ site.name }}_overflow, lost)``; they must come to what the
simulator's `Tally` says. ROMs and functions of a layer carry its name: ``{{ site.name }}_weights``, made by ``Rom.of(site, "weights", …)``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from fxnorm.hls.layout import Layout
from fxnorm.hls.rom import Rom, literal, native_type, signed_bits, unsigned_literal
from fxnorm.hls.site import Port, Site
from fxnorm.hls.style import Axis, Frame, Rows, Sliding, Style
from fxnorm.hls.weight_port import WeightPort

__all__ = [
    "ACCUMULATOR",
    "OVERFLOW",
    "Axis",
    "Block",
    "Frame",
    "Port",
    "Refusal",
    "Rom",
    "Rows",
    "Site",
    "Sliding",
    "Style",
    "WeightPort",
    "literal",
    "native_type",
    "signed_bits",
    "unsigned_literal",
]

OVERFLOW: Final = "overflow"
ACCUMULATOR: Final = "accumulator_overflow"


class Refusal(Exception):
    """What a block cannot do; becomes a line of an UnsupportedError."""


@dataclass(frozen=True, slots=True)
class Block:
    """A layer of a design, ready to be written.

    Attributes
    ----------
    template
        Name below ``kernels/``: "linear" for ``kernels/linear.cpp.j2``.
    summary
        What it computes, in generated words: the first line of its file.
    view
        What the template writes down.
    style
        What the core works on.
    counters
        What it counts: of OVERFLOW, ACCUMULATOR and the names of inner stages, blanks as underscores.
    weights
        The port that its weights come through; None: they are tables.
    """

    template: str
    summary: str
    view: Any
    style: Style
    counters: tuple[str, ...] = (OVERFLOW,)
    weights: WeightPort | None = None

    def placed(self, site: Site) -> Block:
        """The block, with frames cut into rows where its values do not travel in the rows that it works on."""
        style = self.style
        if not isinstance(style, Rows):
            return self

        def sizes(own: Layout) -> tuple[int, int, int]:
            return own.outer, own.row, own.inner

        ports = (*site.inputs, site.output)
        fits = all(sizes(style.cut(port)) == sizes(port.layout) for port in ports)
        return self if fits else replace(self, style=replace(style, streams=False))
