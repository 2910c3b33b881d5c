"""Programs that run the primitives of templates/include on given integers, compiled with g++ for either vendor's types.

A `Case` is a few C++ statements that make outputs y0, y1, … from inputs x0, x1, …, the integers it runs on, and what Python says
must come out. One program holds many cases, because compiling takes far longer than running.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fxnorm.hls import static_check

INCLUDE = Path(__file__).resolve().parents[2] / "templates" / "include"
HEADERS = {"ac": ("ac_fixed.h", "catapult/ac_types/include"), "ap": ("ap_fixed.h", "vivado/ap_types")}
DIALECTS = tuple(HEADERS)
PRIMITIVES = ("fx_arith.h", "fx_divide.h", "fx_exp2.h", "fx_mantissa.h", "fx_roots.h", "fx_table.h", "fx_words.h")

Integers = Sequence[int] | np.ndarray[Any, Any]

_PROLOGUE = """
#include <cstdio>
#include <cstdlib>

// The cast of a vendor's fixed-point type, by the names that fxnorm has for modes.
#if defined(DIALECT_AC)
#define VENDOR_MODE(name) AC_##name
template <int W, int I, bool S, ac_q_mode Q = AC_TRN, ac_o_mode O = AC_WRAP>
using vendor_fixed = ac_fixed<W, I, S, Q, O>;
#else
#define VENDOR_MODE(name) AP_##name
template <int W, int I, bool S, ap_q_mode Q, ap_o_mode O> struct vendor_type { typedef ap_fixed<W, I, Q, O> type; };
template <int W, int I, ap_q_mode Q, ap_o_mode O> struct vendor_type<W, I, false, Q, O> {
  typedef ap_ufixed<W, I, Q, O> type;
};
template <int W, int I, bool S, ap_q_mode Q = AP_TRN, ap_o_mode O = AP_WRAP>
using vendor_fixed = typename vendor_type<W, I, S, Q, O>::type;
#endif

typedef unsigned long long limb_t;

static limb_t next_limb() {
  limb_t limb;
  if (fread(&limb, sizeof limb, 1, stdin) != 1) abort();
  return limb;
}

// Integers of L limbs, the low one first.
template <typename T, int L>
T get() {
  fx_uint<64 * L> value = 0;
  for (int i = 0; i < L; ++i) {
    fx_uint<64 * L> limb = next_limb();
    value = value | (limb << (64 * i));
  }
  T result = value;
  return result;
}

template <int L, typename T>
void put(const T& value) {
  fx_int<64 * L> wide = value;
  for (int i = 0; i < L; ++i) {
    fx_uint<64> low = wide >> (64 * i);
    limb_t limb = low.to_uint64();
    fwrite(&limb, sizeof limb, 1, stdout);
  }
}
"""


@dataclass(frozen=True)
class Word:
    """An integer of a width, signed or not."""

    width: int
    signed: bool = True

    def __str__(self) -> str:
        return f"{'fx_int' if self.signed else 'fx_uint'}<{self.width}>"

    @property
    def limbs(self) -> int:
        """Words of 64 bits that hold it with a sign."""
        return (self.width + (not self.signed) + 63) // 64

    @property
    def low(self) -> int:
        return -(1 << (self.width - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        return (1 << (self.width - self.signed)) - 1


@dataclass(frozen=True)
class Case:
    """Statements, what they are run on, and what must come out; columns hold one integer a run."""

    name: str
    body: str
    inputs: tuple[Word, ...]
    given: tuple[Integers, ...]
    outputs: tuple[Word, ...]
    expected: tuple[Integers, ...]
    tables: str = ""

    def source(self, number: int) -> str:
        """The case as a function of C++."""
        takes = [f"    {word} x{i} = get<{word}, {word.limbs}>();" for i, word in enumerate(self.inputs)]
        makes = [f"    {word} y{i} = 0;" for i, word in enumerate(self.outputs)]
        gives = [f"    put<{word.limbs}>(y{i});" for i, word in enumerate(self.outputs)]
        loop = "  for (limb_t left = next_limb(); left > 0; --left) {"
        lines = [self.tables, f"static void case_{number}() {{", loop, *takes, *makes, self.body, *gives, "  }", "}"]
        return "\n".join(lines)


def native_table(name: str, entries: Integers) -> str:
    """A table as emitted code has it: native integers."""
    numbers = [int(entry) for entry in entries]
    largest = max((abs(2 * number + 1) for number in numbers), default=0)
    native = next(
        t for t, bits in (("signed char", 8), ("short", 16), ("int", 32), ("long long", 64)) if largest < 1 << bits
    )
    return f"static const {native} {name}[{len(numbers)}] = {{{', '.join(map(str, numbers))}}};"


def header_folder(dialect: str) -> Path:
    """The vendor's headers, from $FXNORM_HLS_HEADERS or an installed hls4ml, which is not imported."""
    name, inside = HEADERS[dialect]
    roots = [Path(root) for root in os.environ.get("FXNORM_HLS_HEADERS", "").split(os.pathsep) if root]
    spec = importlib.util.find_spec("hls4ml")
    if spec is not None and spec.submodule_search_locations:
        roots += [Path(root) / "templates" for root in spec.submodule_search_locations]
    for folder in itertools.chain.from_iterable((root, root / inside) for root in roots):
        if (folder / name).is_file():
            return folder
    pytest.skip(f"{name} not found: neither in $FXNORM_HLS_HEADERS nor in an installed hls4ml")


def write(dialect: str, cases: Sequence[Case], folder: Path) -> Path:
    """The source of a program of many cases."""
    lines = [f'#include "fx_types_{dialect}.h"', *(f'#include "{name}"' for name in PRIMITIVES), _PROLOGUE]
    lines += [case.source(number) for number, case in enumerate(cases)]
    lines += ["int main() {", *(f"  case_{number}();" for number in range(len(cases))), "  return 0;", "}"]
    source = folder / f"{dialect}.cpp"
    source.write_text("\n".join(lines) + "\n")
    return source


def not_for_hardware(dialect: str, cases: Sequence[Case], folder: Path) -> list[str]:
    """What the static check finds in the primitives, in all instances that cases make of them."""
    pytest.importorskip("clang.cindex", reason="libclang is not installed")
    for name in (*PRIMITIVES, f"fx_types_{dialect}.h"):
        shutil.copy(INCLUDE / name, folder)
    source = write(dialect, cases, folder)
    define = f"DIALECT_{dialect.upper()}"
    found = static_check.check([source], include=[INCLUDE], system=[header_folder(dialect)], defines=[define])
    return [str(finding) for finding in found if Path(finding.file).name != source.name]


def build(dialect: str, cases: Sequence[Case], folder: Path, *options: str) -> Path:
    """Compile a program of many cases."""
    headers = header_folder(dialect)
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("g++ not found")
    source, program = write(dialect, cases, folder), folder / f"{dialect}_program"
    command = [compiler, "-std=c++14", "-O0", f"-I{INCLUDE}", "-isystem", str(headers), f"-DDIALECT_{dialect.upper()}"]
    command += ["-Wno-unknown-pragmas", "-Wno-unused-label", *options, str(source), "-o", str(program)]
    found = subprocess.run(command, check=False, capture_output=True, text=True, timeout=900)
    assert found.returncode == 0, found.stderr[:4000]
    return program


def check(dialect: str, cases: Sequence[Case], folder: Path, *options: str) -> int:
    """Run all cases, compare every output; return how many there were."""
    program = build(dialect, cases, folder, *options)
    done = subprocess.run([program], input=_stdin(cases), capture_output=True, check=False, timeout=900)
    assert done.returncode == 0, done.stderr[-2000:].decode()
    limbs = np.frombuffer(done.stdout, dtype=np.uint64)
    at = compared = 0
    for case in cases:
        count = len(case.given[0])
        width = sum(word.limbs for word in case.outputs)
        block = limbs[at : at + count * width].reshape(count, width)
        at += count * width
        column = 0
        for number, (word, expected) in enumerate(zip(case.outputs, case.expected, strict=True)):
            seen = _integers(block[:, column : column + word.limbs])
            column += word.limbs
            wrong = np.flatnonzero(seen != np.asarray(expected, dtype=seen.dtype))
            assert not wrong.size, _difference(dialect, case, number, int(wrong[0]), len(wrong), seen)
            compared += count
    assert at == len(limbs)
    return compared


def corners(word: Word, rng: np.random.Generator, count: int) -> np.ndarray[Any, Any]:
    """Integers of a word: the ends, the neighbours of 0 and of powers of two, and random ones of every magnitude."""
    near = {word.low, word.low + 1, -2, -1, 0, 1, 2, 3, word.high - 1, word.high}
    for place in range(word.width + 1):
        near |= {sign * (1 << place) + step for sign in (-1, 1) for step in (-1, 0, 1)}
    drawn = [int.from_bytes(rng.bytes(word.width // 8 + 1), "little") for _ in range(count)]
    bits = rng.integers(0, word.width - word.signed + 1, count)
    wide = [number % (1 << int(places)) for number, places in zip(drawn, bits, strict=True)]
    signs = rng.integers(0, 2, count)
    near |= {-number if sign and word.signed else number for number, sign in zip(wide, signs, strict=True)}
    return np.array(sorted(number for number in near if word.low <= number <= word.high), dtype=object)


def every(word: Word) -> np.ndarray[Any, Any]:
    """All integers of a word."""
    return np.arange(word.low, word.high + 1, dtype=np.int64)


def _stdin(cases: Sequence[Case]) -> bytes:
    parts = []
    for case in cases:
        columns = [_limbs(numbers, word) for word, numbers in zip(case.inputs, case.given, strict=True)]
        assert len({len(column) for column in columns}) == 1
        parts += [np.uint64(len(columns[0])).tobytes(), np.ascontiguousarray(np.concatenate(columns, axis=1)).tobytes()]
    return b"".join(parts)


def _limbs(numbers: Integers, word: Word) -> np.ndarray[Any, Any]:
    array = np.asarray(numbers)
    if array.dtype != object and word.limbs == 1:
        return array.astype(np.int64).view(np.uint64).reshape(-1, 1)
    raw = b"".join(int(number).to_bytes(8 * word.limbs, "little", signed=True) for number in numbers)
    return np.frombuffer(raw, dtype=np.uint64).reshape(-1, word.limbs)


def _integers(limbs: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    if limbs.shape[1] == 1:
        return np.ascontiguousarray(limbs[:, 0]).view(np.int64)
    rows = np.ascontiguousarray(limbs)
    return np.array([int.from_bytes(row.tobytes(), "little", signed=True) for row in rows], dtype=object)


def _difference(dialect: str, case: Case, output: int, at: int, count: int, seen: np.ndarray[Any, Any]) -> str:
    given = ", ".join(str(int(numbers[at])) for numbers in case.given)
    return (
        f"{dialect}: {case.name}: {count} of {len(seen)} differ in y{output}; "
        f"({given}) gives {int(seen[at])} there, {int(case.expected[output][at])} in Python"
    )
