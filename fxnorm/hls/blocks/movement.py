"""Data that changes place: copies of frames, with fillers and a change of format in between; `kernels/movement.cpp.j2`."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from fxnorm.fixed.format import Format
from fxnorm.hls.block import OVERFLOW, Block, Frame, Refusal, Rom, Site, literal
from fxnorm.hls.blocks.stage import Interval, Stage, stage
from fxnorm.hls.expressions import Loop
from fxnorm.hls.strides import find_nest
from fxnorm.kernels.movement import Concat, Lookup, Move, Movement, Pad, Spread
from fxnorm.kernels.stage import Rescale

Array = np.ndarray


@dataclass(frozen=True, slots=True)
class Copy:
    """One pass over an array.

    Attributes
    ----------
    type, size
        C++ type and elements of an array of its own that it fills; type "" where it fills the output.
    fill
        Code that all elements get first; "" for none.
    roms
        Tables of places, or of codes, where loops have no constant strides.
    nest, target
        Loops over what is copied, and the place that is written.
    bits
        Width of a signed integer that holds a code that is read.
    code
        C++ expression of the code that is read.
    result
        Name of the array that is written.
    stage
        Rescale of every element that is copied; None where codes stay.
    label
        Of the pass's loops.
    """

    type: str
    size: int
    fill: str
    roms: tuple[Rom, ...]
    nest: tuple[Loop, ...]
    target: str
    bits: int
    code: str
    result: str
    stage: Stage | None
    label: str


@dataclass(frozen=True, slots=True)
class MovementView:
    """What the template writes: passes, one after the other."""

    copies: tuple[Copy, ...]


@dataclass(frozen=True, slots=True)
class LookupView:
    """What the template writes: y[outer][index][inner] = rows[outer][x[index]][inner].

    Attributes
    ----------
    rows
        The table.
    outer, indices, length, inner
        Sizes; `length` is that of the indexed axis.
    index_bits, code_bits
        Widths of signed integers that hold every index and every entry.
    """

    rows: Rom
    outer: int
    indices: int
    length: int
    inner: int
    index_bits: int
    code_bits: int


def build(site: Site) -> Block:
    """Block of a `Movement`."""
    kernel = site.kernel
    assert isinstance(kernel, Movement)
    (port,) = site.inputs
    bits = port.bits
    first = _moved(port.shape, kernel.moves)
    shape = first.shape
    last = _moved(shape, kernel.filled)
    copies: list[Copy] = []
    array = "x0"
    plain = not first.fillers
    if kernel.stage is None:
        whole = _moved(port.shape, (*kernel.moves, *kernel.filled))
        copies.append(_copy(site, whole, "x0", "", bits, "move"))
        return _block(site, copies, ())
    if not plain:
        copies.append(_copy(site, first, "x0", port.type, bits, "gather"))
        array, first = copies[-1].result, _moved(shape, ())
    made = stage(site, kernel.stage, Interval.codes(port.format))
    fused = not kernel.filled
    copies.append(_copy(site, first, array, "" if fused else site.output.type, bits, "change", made))
    if not fused:
        copies.append(_copy(site, last, copies[-1].result, "", site.output.bits, "place"))
    return _block(site, copies, (OVERFLOW,))


def _block(site: Site, copies: Iterable[Copy], counters: tuple[str, ...]) -> Block:
    return Block("movement", "data that changes place", MovementView(tuple(copies)), Frame(), counters)


@dataclass(frozen=True, slots=True)
class Places:
    """Where elements come from.

    Attributes
    ----------
    shape
        Of the result.
    source
        Place of every element, in C order; a filler has -1 - its number in `fillers`.
    fillers
        Codes that are put in.
    """

    shape: tuple[int, ...]
    source: Array
    fillers: tuple[int, ...]


def _moved(shape: tuple[int, ...], moves: Iterable[Move]) -> Places:
    """Follow places instead of codes through moves."""
    places = np.arange(math.prod(shape), dtype=np.int64).reshape(1, *shape)
    fillers: list[int] = []
    for move in moves:
        if isinstance(move, Pad | Spread):
            mark = -1 - len(fillers)
            fillers.append(move.code)
            moved = Pad(move.widths, mark) if isinstance(move, Pad) else Spread(move.factors, mark)
            places = moved.apply(places)
        else:
            places = move.apply(places)
    return Places(tuple(places.shape[1:]), np.ascontiguousarray(places).reshape(-1), tuple(fillers))


def _copy(
    site: Site, places: Places, array: str, own_type: str, bits: int, label: str, made: Stage | None = None
) -> Copy:
    """Pass that takes elements from their places; fillers come first, all elements at once, for few loops are clearer."""
    source = places.source
    if not source.size:
        raise Refusal("a value without elements")
    target = np.arange(len(source), dtype=np.int64)
    roms: list[Rom] = []
    fill = ""
    if (source < 0).any():
        codes = np.array(places.fillers, dtype=object)[np.maximum(-1 - source, 0)]
        used = codes[source < 0]
        if (used == used[0]).all():
            fill = literal(int(used[0]))
        else:
            rom = Rom.of(site, f"{label}_fillers", np.where(source < 0, codes, 0))
            roms.append(rom)
            fill = rom.read("entry")
        target, source = target[source >= 0], source[source >= 0]
    nest, reads, writes = _loops(site, source, target, label, roms)
    return Copy(
        type=own_type,
        size=len(places.source),
        fill=fill,
        roms=tuple(roms),
        nest=nest,
        target=writes,
        bits=bits,
        code=f"fx_code({array}[{reads}])" if nest or reads else "",
        result=f"{label}_codes" if own_type else "y",
        stage=made,
        label=label,
    )


def _loops(site: Site, source: Array, target: Array, label: str, roms: list[Rom]) -> tuple[tuple[Loop, ...], str, str]:
    """Loops over pairs of places, with the expressions of both; tables of places go to `roms`."""
    if not len(source):
        return (), "", ""
    found = find_nest(source, target)
    if found is not None:
        return tuple(found.loops(label)), found.source_place(), found.target_place()
    texts = []
    for word, entries in (("from", source), ("to", target)):
        if np.array_equal(entries, np.arange(len(entries))):
            texts.append("i0")
            continue
        rom = Rom.of(site, f"{label}_{word}", entries)
        roms.append(rom)
        texts.append(f"{rom.name}[i0]")
    return ((f"{label}0", "i0", len(source)),), texts[0], texts[1]


def build_concat(site: Site) -> Block:
    """Block of a `Concat`."""
    kernel = site.kernel
    assert isinstance(kernel, Concat)
    shape = site.output.shape
    targets = np.arange(math.prod(shape), dtype=np.int64).reshape(shape)
    copies: list[Copy] = []
    begin, given = 0, iter(range(len(site.inputs)))
    counters: tuple[str, ...] = ()
    for number, (constant, rescale) in enumerate(zip(kernel.operands, kernel.stages, strict=True)):
        if constant is None:
            index = next(given)
            port = site.inputs[index]
            own, array, bits, format_ = port.shape, f"x{index}", port.bits, port.format
        else:
            own, array, bits, format_ = constant.shape, "", site.output.bits, site.output.format
        count = own[kernel.axis]
        target = targets[(slice(None),) * kernel.axis + (slice(begin, begin + count),)].reshape(-1)
        begin += count
        if not target.size:
            continue
        made = None
        if rescale is not None:
            made, counters = _stage(site, rescale, format_, number), (OVERFLOW,)
        copies.append(_part(site, number, target, array, bits, constant, made))
    return _block(site, copies, counters)


def _stage(site: Site, rescale: Rescale, format_: Format, number: int) -> Stage:
    return stage(site, rescale, Interval.codes(format_), name=f"shift{number}")


def _part(
    site: Site, number: int, target: Array, array: str, bits: int, constant: Array | None, made: Stage | None
) -> Copy:
    """Pass that puts one operand into the output."""
    roms: tuple[Rom, ...] = ()
    if constant is not None:
        table = Rom.of(site, f"operand{number}", constant)
        roms, array, bits = (table,), table.name, table.bits
    label = f"operand{number}_"
    found: list[Rom] = []
    nest, reads, writes = _loops(site, np.arange(len(target)), target, label, found)
    code = f"{array}[{reads}]" if constant is not None else f"fx_code({array}[{reads}])"
    return Copy("", len(target), "", (*roms, *found), nest, writes, bits, code, "y", made, label)


def build_lookup(site: Site) -> Block:
    """Block of a `Lookup`."""
    kernel = site.kernel
    assert isinstance(kernel, Lookup)
    (port,) = site.inputs
    shape = kernel.rows.shape
    length = shape[kernel.axis]
    rom = Rom.of(site, "rows", kernel.rows)
    view = LookupView(
        rows=rom,
        outer=math.prod(shape[: kernel.axis]),
        indices=port.size,
        length=length,
        inner=math.prod(shape[kernel.axis + 1 :]),
        index_bits=max(port.bits, length.bit_length() + 1) + 1,
        code_bits=rom.bits,
    )
    return Block("lookup", f"rows of a table of {length}", view, Frame(), ())
