"""fxnorm's numbers against the vendors' own types, compiled with g++.

A cast depends on the binary points through their distance only, so the destination has no fraction bits here and the
source has D of them.  Exhaustive are: every destination of 1 to 6 bits, signed and unsigned; every rounding and
overflow mode of the target; 0 to 4 dropped bits; every code of a source, signed and unsigned, that reaches to four
times the destination's range.  A narrower source has no value that this one lacks; but the headers leave out checks
that a narrow source cannot fail, so such ones are added, with all bits dropped and with a left shift among them.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import random
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from fxnorm.fixed.arith import requantize
from fxnorm.fixed.format import (
    Format,
    Overflow,
    Rounding,
    difference_format,
    negate_format,
    product_format,
    shift_format,
    sum_format,
)

SOURCES = Path(__file__).parent / "vendor"
HEADERS = {"ac": ("ac_fixed.h", "catapult/ac_types/include"), "ap": ("ap_fixed.h", "vivado/ap_types")}
ROUNDINGS = {"ac": tuple(Rounding), "ap": tuple(mode for mode in Rounding if mode is not Rounding.RND_CONV_ODD)}
WARNINGS = ("-Wno-unknown-pragmas", "-Wno-unused-label")

Case = tuple[int, bool, int, bool, int]  # W, S, W2, S2, D of a cast
Sizes = tuple[int, int, bool]  # W, I, S of a type


def header_folder(vendor: str) -> Path:
    """Find the vendor's headers, without importing hls4ml, whose own dependencies are not needed."""
    name, inside = HEADERS[vendor]
    roots = [Path(root) for root in os.environ.get("FXNORM_HLS_HEADERS", "").split(os.pathsep) if root]
    spec = importlib.util.find_spec("hls4ml")
    if spec is not None and spec.submodule_search_locations:
        roots += [Path(root) / "templates" for root in spec.submodule_search_locations]
    for folder in itertools.chain.from_iterable((root, root / inside) for root in roots):
        if (folder / name).is_file():
            return folder
    pytest.skip(
        f"{name} not found: neither in $FXNORM_HLS_HEADERS nor in an installed hls4ml (pip install --no-deps hls4ml)"
    )


def run(
    vendor: str, source: str, cases: Sequence[tuple[object, ...]], folder: Path, stdin: bytes = b"", level: str = "-O2"
) -> bytes:
    """Compile a program for its cases and return what it prints."""
    headers = header_folder(vendor)
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("g++ not found")
    lines = [f"CASE({', '.join(str(int(x)) for x in case)})" for case in cases]  # type: ignore[call-overload]
    (folder / "cases.inc").write_text("\n".join(lines) + "\n")
    program = folder / "program"
    define = f"-DVENDOR_{vendor.upper()}"
    command = [compiler, "-std=c++14", level, "-isystem", str(headers), *WARNINGS, define, f"-I{folder}"]
    subprocess.run([*command, str(SOURCES / source), "-o", str(program)], check=True, timeout=600)
    return subprocess.run([program], input=stdin, check=True, stdout=subprocess.PIPE, timeout=600).stdout


def check_casts(
    vendor: str, cases: Sequence[Case], codes: Sequence[npt.NDArray[np.int64]], folder: Path, level: str
) -> int:
    """Compare every cast of every code with `requantize`; return how many there were."""
    stdin = b"".join(np.int64(len(block)).tobytes() + block.tobytes() for block in codes)
    results = np.frombuffer(run(vendor, "casts.cpp", cases, folder, stdin, level), dtype=np.int64)
    at = 0
    for (W, S, W2, S2, D), source in zip(cases, codes, strict=True):
        for rounding, overflow in itertools.product(ROUNDINGS[vendor], Overflow):
            expected = requantize(source, D, Format(W, W, S, rounding, overflow))
            seen = results[at : at + len(source)]
            at += len(source)
            wrong = np.flatnonzero(expected != seen)
            assert not wrong.size, (
                f"{vendor}: {len(wrong)} casts to W={W} S={S} {rounding},{overflow} from W={W2} S={S2} F={D} differ; "
                f"code {source[wrong[0]]} gives {seen[wrong[0]]} there, {expected[wrong[0]]} here"
            )
    assert at == len(results)
    return at


def all_codes(width: int, signed: bool) -> npt.NDArray[np.int64]:
    bits = Format(width, width, signed)
    return np.arange(bits.min_code, bits.max_code + 1, dtype=np.int64)


def covering_cases(vendor: str, width: int) -> list[Case]:
    wide = [(width + dropped + 2, dropped) for dropped in range(5)]
    narrow = [(width, 1), (width, -2), (3, 3)]
    if vendor == "ac":
        narrow.append((2, 4))  # ap_fixed aborts where a rounding cast drops more bits than there are
    pairs = dict.fromkeys(wide + narrow)
    return [(width, to, W2, of, D) for W2, D in pairs for to, of in itertools.product((True, False), repeat=2)]


@pytest.mark.parametrize("vendor", ["ac", "ap"])
def test_some_casts(vendor: str, tmp_path: Path) -> None:
    """What is quick to compile: signed and unsigned, one and two dropped bits, and the one-bit format."""
    cases: list[Case] = [(3, True, 7, True, 2), (2, False, 5, True, 1), (1, True, 4, True, 1)]
    codes = [all_codes(W2, of) for _, _, W2, of, _ in cases]
    assert check_casts(vendor, cases, codes, tmp_path, "-O0") == (128 + 32 + 16) * 4 * len(ROUNDINGS[vendor])


@pytest.mark.slow
@pytest.mark.parametrize("width", range(1, 7))
@pytest.mark.parametrize("vendor", ["ac", "ap"])
def test_every_cast_to_narrow_formats(vendor: str, width: int, tmp_path: Path) -> None:
    cases = covering_cases(vendor, width)
    codes = [all_codes(W2, of) for _, _, W2, of, _ in cases]
    check_casts(vendor, cases, codes, tmp_path, "-O0")  # -O2 compiles 2.5 times as long, for the same codes


@pytest.mark.slow
@pytest.mark.parametrize("vendor", ["ac", "ap"])
def test_casts_of_wide_formats(vendor: str, tmp_path: Path) -> None:
    cases: list[Case] = [
        (8, True, 24, True, 13),
        (8, False, 31, True, 20),
        (16, True, 32, True, 16),
        (16, True, 48, True, 30),
        (32, True, 63, True, 24),
        (32, False, 40, False, 9),
        (31, True, 33, True, 1),
        (32, True, 16, True, -12),
    ]
    draw = random.Random(2)
    codes = []
    for W, _, W2, S2, D in cases:
        bits = Format(W2, W2, S2)
        # Around every power of two and every limit of the destination lie the carries and the saturations.
        centers = {sign * (1 << n) for n in range(W2) for sign in (1, -1)} | {bits.min_code, bits.max_code, 0}
        centers |= {
            (code << max(D, 0)) + half
            for code in (1 << (W - 1), -(1 << (W - 1)), 1 << W)
            for half in (0, 1 << max(D - 1, 0))
        }
        chosen = {center + offset for center in centers for offset in range(-3, 4)}
        chosen |= {draw.randint(bits.min_code, bits.max_code) for _ in range(2000)}
        chosen |= {draw.randint(-(1 << W), 1 << W) << max(D - 1, 0) for _ in range(500)}
        codes.append(np.array(sorted(c for c in chosen if bits.min_code <= c <= bits.max_code), dtype=np.int64))
    check_casts(vendor, cases, codes, tmp_path, "-O2")


def pairs_of_sizes() -> list[tuple[Sizes, Sizes]]:
    named: list[Sizes] = [
        (width, integer_bits, S)
        for width, integer_bits in [
            (1, 1),
            (1, 0),
            (8, 5),
            (8, 8),
            (6, -2),
            (6, 9),
            (16, 8),
            (32, 16),
            (24, -8),
            (33, 40),
        ]
        for S in (True, False)
    ]
    draw = random.Random(1)
    some: list[tuple[Sizes, Sizes]] = []
    for _ in range(100):
        sizes = [(draw.randint(1, 64), draw.randint(-40, 80), draw.random() < 0.5) for _ in range(2)]
        some.append((sizes[0], sizes[1]))
    return list(itertools.product(named, repeat=2)) + some


@pytest.mark.parametrize("vendor", ["ac", "ap"])
def test_result_types(vendor: str, tmp_path: Path) -> None:
    pairs = pairs_of_sizes()
    lines = run(vendor, "result_types.cpp", [a + b for a, b in pairs], tmp_path, level="-O0").decode().splitlines()
    for (a, b), line in zip(pairs, lines, strict=True):
        x, y = Format(*a), Format(*b)
        results = [sum_format(x, y), difference_format(x, y), product_format(x, y)]
        if vendor == "ac":
            results.append(negate_format(x))
        here = [number for result in results for number in (result.width, result.integer_bits, int(result.signed))]
        assert here == [int(word) for word in line.split()], (a, b)
        assert all((result.rounding, result.overflow) == (Rounding.TRN, Overflow.WRAP) for result in results)


def test_results_of_operators(tmp_path: Path) -> None:
    """The codes of exact results, read in the formats given here, are the vendor's codes."""
    pairs = [
        (((4, 2, True), (3, 3, True)), -2),
        (((4, 2, True), (3, 0, False)), 3),
        (((3, 3, False), (4, -1, True)), 1),
        (((3, 5, False), (4, 2, False)), -5),
        (((1, 1, True), (1, 0, True)), 2),
    ]
    lines = iter(run("ac", "operators.cpp", [(*a, *b, n) for (a, b), n in pairs], tmp_path, level="-O0").splitlines())
    for (a, b), n in pairs:
        x, y = Format(*a), Format(*b)
        for _ in range(2 ** (x.width + y.width)):
            i, j, *seen = (int(word) for word in next(lines).split())
            left, right = i * x.step, j * y.step
            exact = [
                (left + right, sum_format(x, y)),
                (left - right, difference_format(x, y)),
                (left * right, product_format(x, y)),
                (-left, negate_format(x)),
                (left * (2**n if n >= 0 else x.step / x.step / 2**-n), shift_format(x, n)),
            ]
            assert seen == [value / result.step for value, result in exact], (a, b, n, i, j)
    assert next(lines, None) is None


def test_spelled_types_are_the_same_types(tmp_path: Path) -> None:
    """What `spell` writes is C++ that means the same sizes, sign and modes."""
    formats = [
        Format(width, integer_bits, S, rounding, overflow)
        for width, integer_bits, S in [(8, 5, True), (8, 5, False), (12, -2, True), (8, 10, False)]
        for rounding in Rounding
        for overflow in Overflow
    ]
    compiler = shutil.which("g++")
    for vendor in ("ac", "ap"):
        headers = header_folder(vendor)
        if compiler is None:
            pytest.skip("g++ not found")
        lines = [f"#include <{HEADERS[vendor][0]}>", "#include <type_traits>"]
        for fmt in formats:
            if fmt.rounding not in ROUNDINGS[vendor]:
                continue
            facts = [
                f"T::width == {fmt.width}",
                f"T::{'i_width' if vendor == 'ac' else 'iwidth'} == {fmt.integer_bits}",
                f"T::{'q_mode' if vendor == 'ac' else 'qmode'} == {vendor.upper()}_{fmt.rounding.name}",
                f"T::{'o_mode' if vendor == 'ac' else 'omode'} == {vendor.upper()}_{fmt.overflow.name}",
            ]
            lines.append(f"namespace n{len(lines)} {{ typedef {fmt.spell(vendor)} T;")
            lines += [f'static_assert({fact}, "{fmt}");' for fact in facts]
            lines.append("}")
        source = tmp_path / f"{vendor}.cpp"
        source.write_text("\n".join(lines) + "\nint main() {}\n")
        command = [compiler, "-std=c++14", "-fsyntax-only", "-isystem", str(headers), *WARNINGS, str(source)]
        subprocess.run(command, check=True, timeout=100)
