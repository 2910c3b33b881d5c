"""Cases of the primitives in templates/include, with what the Python function of the same name gives."""

from __future__ import annotations

from typing import Any

import numpy as np
from include_program import Case, Integers, Word, native_table

from fxnorm.fixed import arith
from fxnorm.fixed.exponential import Exp2
from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.fixed.functions import DirectTable
from fxnorm.fixed.roots import Reciprocal, ReciprocalRoot
from fxnorm.fixed.segments import SegmentTable
from fxnorm.fixed.words import bit_length
from fxnorm.hls.quotient import magic
from fxnorm.kernels.leading_one import leading_one
from fxnorm.kernels.mantissa import Product
from fxnorm.kernels.softmax import Softmax, exponentials

Array = np.ndarray[Any, Any]

INT = Word(32)
FLAG = Word(1, False)


def objects(numbers: Integers) -> Array:
    """Python integers, which no step of fxnorm has to fear for."""
    result = np.empty(len(numbers), dtype=object)
    result[:] = [int(number) for number in numbers]
    return result


def mode(rounding: Rounding | Overflow) -> str:
    """Name of a mode in C++."""
    return f"fx::{rounding.name}"


def code_type(format_: Format) -> Word:
    """Integer that holds the codes of a format."""
    return Word(format_.width, format_.signed)


def shift(rounding: Rounding, places: int, word: Word, x: Array) -> Case:
    result = Word(max(word.width - places, 1) + 1)
    return Case(
        f"shift_round<{rounding}, {places}> of {word}",
        f"y0 = fx::shift_round<{mode(rounding)}, {places}, {result.width}>(x0);",
        (word,),
        (x,),
        (result,),
        (arith.shift_round(objects(x), places, rounding),),
    )


def run_time_shift(rounding: Rounding, low: int, high: int, word: Word, x: Array, places: Array) -> Case:
    result = Word(max(word.width - low, 1) + 1)
    return Case(
        f"shift_round<{rounding}, {low}, {high}> of {word}",
        f"y0 = fx::shift_round<{mode(rounding)}, {low}, {high}, {result.width}>(x0, x1.to_int());",
        (word, INT),
        (x, places),
        (result,),
        (arith.shift_round(objects(x), places.astype(object), rounding),),
    )


def fit(format_: Format, word: Word, x: Array) -> Case:
    args = f"{mode(format_.overflow)}, {format_.width}, {str(format_.signed).lower()}"
    return Case(
        f"fit<{args}> of {word}",
        f"y0 = fx::fit<{args}>(x0);\n    y1 = fx::overflowed<{args}>(x0);",
        (word,),
        (x,),
        (code_type(format_), FLAG),
        (arith.fit(objects(x), format_), arith.overflowed(objects(x), format_)),
    )


def vendor_cast(target: Format, source: Format, x: Array) -> Case:
    """shift_round and fit beside the cast of the vendor's own type, and how often it could be counted."""
    places = source.fraction_bits - target.fraction_bits
    wide = Word(source.width + (not source.signed))
    middle = Word(max(wide.width - places, 1) + 1)
    flags = f"{target.width}, {str(target.signed).lower()}"
    types = [
        f"vendor_fixed<{f.width}, {f.integer_bits}, {str(f.signed).lower()}, {modes}>"
        for f, modes in (
            (source, "VENDOR_MODE(TRN), VENDOR_MODE(WRAP)"),
            (target, f"VENDOR_MODE({target.rounding.name}), VENDOR_MODE({target.overflow.name})"),
        )
    ]
    expected = arith.requantize(objects(x), source.fraction_bits, target)
    return Case(
        f"{source} to {target}",
        f"{wide} wide = x0;\n    {types[0]} from;\n    fx_set(from, x0);\n    {types[1]} to = from;\n"
        f"    {middle} rounded = fx::shift_round<{mode(target.rounding)}, {places}, {middle.width}>(wide);\n"
        f"    y0 = fx::fit<{mode(target.overflow)}, {flags}>(rounded);\n    y1 = fx_code(to);",
        (code_type(source),),
        (x,),
        (code_type(target), code_type(target)),
        (expected, expected),
    )


def quotient(rounding: Rounding, places: int, divisor: int, word: Word, x: Array) -> Case:
    """Division by a constant."""
    bits = max(word.width - 1 - places, 1)
    number, shift_ = magic(divisor, bits)
    result = Word(bits + 2)
    widths = Word(divisor.bit_length(), False), Word(max(number.bit_length(), 1), False)
    return Case(
        f"divide_round<{rounding}, {places}> of {word} by {divisor}",
        f"{widths[0]} divisor = {literal(divisor)};\n    {widths[1]} magic = {literal(number)};\n"
        f"    y0 = fx::divide_round<{mode(rounding)}, {places}, {shift_}, {result.width}>(x0, divisor, magic);",
        (word,),
        (x,),
        (result,),
        (_quotient(x, objects([divisor]), places, rounding),),
    )


def run_time_quotient(rounding: Rounding, places: int, word: Word, by: Word, x: Array, divisors: Array) -> Case:
    result = Word(max(word.width - 1 - places, 1) + 2)
    return Case(
        f"divide_round<{rounding}, {places}> of {word} by {by}",
        f"y0 = fx::divide_round<{mode(rounding)}, {places}, {result.width}>(x0, x1);",
        (word, by),
        (x, divisors),
        (result,),
        (_quotient(x, objects(divisors), places, rounding),),
    )


def _quotient(x: Array, divisors: Array, places: int, rounding: Rounding) -> Array:
    return arith.divide_round(objects(x) << max(-places, 0), divisors << max(places, 0), rounding)


def literal(number: int) -> str:
    """A constant in C++; wider than 64 bits, with its low limbs appended."""
    if number < 1 << 64:
        return f"{number}ULL"
    width = number.bit_length() + 1
    return f"fx_append<{width}, {max(width - 64, 1)}>({literal(number >> 64)}, {number & ((1 << 64) - 1)}ULL)"


def leading_place(word: Word, x: Array, bits: int) -> Case:
    """bit_length of all, and normalize of all but 0."""
    positive = np.maximum(objects(x), 1)
    place = bit_length(positive) - 1
    mantissa = (positive << bits) >> place.astype(object)
    return Case(
        f"bit_length and normalize<{bits}> of {word}",
        f"y0 = fx::bit_length<{word.width}>(x0);\n    {word} positive = x0;\n    if (x0 == 0) positive = 1;\n    int place;\n"
        f"    y1 = fx::normalize<{bits}, {word.width}>(positive, place);\n    y2 = place;",
        (word,),
        (x,),
        (INT, Word(bits + 1, False), INT),
        (bit_length(objects(x)), mantissa, place),
    )


def counter_widths(numbers: Array) -> Case:
    """Bits of counters that reach some numbers."""
    return Case(
        "width_of",
        "y0 = fx::width_of(x0.to_int());",
        (INT,),
        (numbers,),
        (INT,),
        (np.maximum(bit_length(numbers), 1),),
    )


def magnitudes(word: Word, x: Array, most: int) -> Case:
    places = np.arange(len(x)) % (most + 1)
    result = Word(word.width + most)
    return Case(
        f"magnitude and shift_left<{most}> of {word}",
        f"y0 = fx::magnitude<{word.width}>(x0);\n    y1 = fx::shift_left<{most}, {result.width}>(x0, x1.to_int());",
        (word, INT),
        (x, places),
        (Word(word.width, False), result),
        (np.abs(objects(x)), objects(x) << places.astype(object)),
    )


def clips(word: Word, x: Array, low: int, high: int) -> Case:
    return Case(
        f"clip, minimum and maximum of {word}",
        f"{word} low = {low}LL;\n    {word} high = {high}LL;\n    y0 = fx::clip(x0, low, high);\n"
        f"    y1 = fx::minimum(x0, low);\n    y2 = fx::maximum(x0, low);",
        (word,),
        (x,),
        (word, word, word),
        (np.clip(objects(x), low, high), np.minimum(objects(x), low), np.maximum(objects(x), low)),
    )


def mantissa_product(
    sticky: bool, low: int, high: int, words: tuple[Word, Word], columns: tuple[Array, Array, Array]
) -> Case:
    a, m = words
    result = Word(a.width + m.width + max(-low, 0))
    kernel = Product(1 << (a.width - 1), m.high, 1 << (result.width - 1), sticky)
    given = tuple(objects(column) for column in columns)
    return Case(
        f"product<{sticky}, {low}, {high}> of {a} and {m}",
        f"y0 = fx::product<{str(sticky).lower()}, {low}, {high}, {result.width}>(x0, x1, x2.to_int());",
        (a, m, INT),
        given,
        (result,),
        (kernel.run(given[0], given[1], given[2]),),
    )


def float_words(x: Array) -> Case:
    mantissa, exponent, zero = leading_one(x.astype(np.int64))
    return Case(
        "leading_one",
        "int exponent;\n    bool zero;\n    y0 = fx::leading_one(x0, exponent, zero);\n    y1 = exponent;\n    y2 = zero;",
        (Word(31, False),),
        (x,),
        (Word(24, False), INT, FLAG),
        (mantissa, exponent, zero),
    )


def root(kernel: Reciprocal | ReciprocalRoot, word: Word, x: Array, name: str) -> Case:
    function = "reciprocal" if isinstance(kernel, Reciprocal) else "reciprocal_root"
    tables = [native_table(f"{name}_a", kernel.intercepts), native_table(f"{name}_b", kernel.slopes)]
    mantissa, exponent = kernel.run(objects(x))
    return Case(
        f"{function}<{kernel.bits}> of {word}",
        f"int exponent;\n    y0 = fx::{function}<{kernel.bits}>(x0, {name}_a, {name}_b, exponent);\n    y1 = exponent;",
        (word,),
        (x,),
        (Word(kernel.bits, False), INT),
        (mantissa, exponent),
        "\n".join(tables),
    )


def exp2_type(kernel: Exp2) -> str:
    """Widths of an Exp2 in C++."""
    fields = (kernel.bits, kernel.segment_bits, kernel.position_bits, kernel.guard_bits)
    return f"fx::exp2_widths<{', '.join(map(str, (*fields, kernel.multiplicand_bits, kernel.accumulator_bits)))}>"


def coefficient_tables(rows: Array, name: str) -> tuple[str, str]:
    """Tables, and their names as arguments."""
    tables = [native_table(f"{name}_c{k}", row) for k, row in enumerate(rows)]
    return "\n".join(tables), ", ".join(f"{name}_c{k}" for k in range(len(rows)))


def power_of_two(kernel: Exp2, x: Array, name: str) -> Case:
    tables, arguments = coefficient_tables(kernel.coefficients, name)
    return Case(
        f"exp2 of {kernel.bits} bits",
        f"y0 = fx::exp2<{exp2_type(kernel)} >(x0, {arguments});",
        (Word(kernel.bits, False),),
        (x,),
        (Word(kernel.bits, False),),
        (kernel.run(x),),
        tables,
    )


def exponential(kernel: Softmax, width: int, distances: Array, name: str) -> Case:
    """2^-t of distances from the maximum, of which the kernel finds one in each group of two."""
    tables, arguments = coefficient_tables(kernel.exponential.coefficients, name)
    limit, log2e = (Word(number.bit_length(), False) for number in (kernel.limit, kernel.log2e))
    pairs = np.stack([np.zeros_like(distances), -distances], axis=1)
    _, powers = exponentials(kernel, pairs)
    return Case(
        f"exponential of {kernel.bits} bits",
        f"{limit} limit = {literal(kernel.limit)};\n    {log2e} log2e = {literal(kernel.log2e)};\n"
        f"    y0 = fx::exponential<{exp2_type(kernel.exponential)}, {kernel.log2e_shift}>(x0, limit, log2e, {arguments});",
        (Word(width, False),),
        (distances,),
        (Word(kernel.bits + 1, False),),
        (powers[:, 1],),
        tables,
    )


def direct_table(table: DirectTable, x: Array, name: str) -> Case:
    word, result = code_type(table.input), code_type(table.output)
    flags = f"{table.input.width}, {str(table.input.signed).lower()}"
    overflow = ", ".join(str(int(byte)) for byte in table.overflow_bits)
    codes, lost = table.run(x)
    return Case(
        f"direct_table {table.function} of {table.input_format}",
        f"y0 = fx::direct_table<{flags}, {result} >(x0, {name}_t);\n    y1 = fx::table_overflowed<{flags}>(x0, {name}_o);",
        (word,),
        (x,),
        (result, FLAG),
        (codes, lost),
        native_table(f"{name}_t", table.entries)
        + f"\nstatic const unsigned char {name}_o[{len(table.overflow_bits)}] = {{{overflow}}};",
    )


def segment_table(table: SegmentTable, x: Array, name: str) -> Case:
    """The polynomial, and what the stage behind it makes of it."""
    output = table.output
    wide = Word(table.input.width + (not table.input.signed))
    fields = (
        "piece_start",
        "piece_origin",
        "piece_mirrored",
        "piece_octave",
        "piece_block",
        "block_shift",
        "block_segment",
    )
    tables, arguments = coefficient_tables(table.coefficients, name)
    tables += "".join("\n" + native_table(f"{name}_{field}", getattr(table, field)) for field in fields)
    arguments = ", ".join(f"{name}_{field}" for field in fields) + ", " + arguments
    widths = f"fx::segment_widths<{table.position_bits}, {table.multiplicand_bits}, {table.accumulator_bits}>"
    accumulator = Word(table.accumulator_bits + 1)
    result = Word(max(accumulator.width + 1 - table.guard_bits, output.width + 2))
    flags = f"{mode(output.overflow)}, {output.width}, {str(output.signed).lower()}"
    codes, lost = table.evaluate(np.asarray(x, np.int64))
    return Case(
        f"segments of {table.function}, {table.input_format} to {table.output_format}",
        f"y0 = fx::segment_accumulate<{widths}, {wide.width}>(x0, {arguments});\n"
        f"    {result} rounded = fx::shift_round<{mode(output.rounding)}, {table.guard_bits}, {result.width}>(y0);\n"
        f"    rounded = fx::clip<{result} >(rounded, {table.low}LL, {table.high}LL);\n"
        f"    y1 = fx::fit<{flags}>(rounded);\n    y2 = fx::overflowed<{flags}>(rounded);",
        (code_type(table.input),),
        (x,),
        (accumulator, code_type(output), FLAG),
        (table.accumulate(np.asarray(x, np.int64)), codes, lost),
        tables,
    )
