"""Operations that numba lacks, as instructions of its compiler: integers that keep their type, and copies of whole vectors.

Each is typed and generated where a compiled function calls it; the names below can be called in compiled functions only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

Generator = Callable[[Any, Any, Any, Any], Any]


def _shift(context: Any, number: Any, places: Any) -> tuple[Any, Generator]:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ashr(*arguments)

    return number(number, number), generate


def _cast(context: Any, number: Any, like: Any) -> tuple[Any, Generator]:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.cast(builder, arguments[0], number, like)

    return like(number, like), generate


def _copy(size: int) -> Callable[..., tuple[Any, Generator]]:
    def copy(context: Any, dst: Any, i: Any, src: Any, j: Any) -> tuple[Any, Generator]:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            byte, vector = ir.IntType(8), ir.VectorType(ir.IntType(8), size)

            def place(array: int, index: int) -> Any:
                proxy: Any = cgutils.create_struct_proxy(signature.args[array])  # type: ignore[no-untyped-call]
                start = builder.bitcast(proxy(context, builder, arguments[array]).data, byte.as_pointer())
                return builder.bitcast(builder.gep(start, [arguments[index]]), vector.as_pointer())

            builder.store(builder.load(place(2, 3), align=1), place(0, 1), align=1)
            return context.get_dummy_value()

        return types.void(dst, types.intp, src, types.intp), generate

    return copy


shifted: Any = intrinsic(_shift)
"""shifted(x, places): x >> places in the type of both; numba's own shift widens 32 bits to 64."""

as_type_of: Any = intrinsic(_cast)
"""as_type_of(x, y): the integer x in the type of y."""

copy16: Any = intrinsic(_copy(16))
"""copy16(dst, i, src, j): dst[i : i + 16] = src[j : j + 16] for byte arrays, both within their bounds; loops take several times longer."""

copy64: Any = intrinsic(_copy(64))
"""`copy16` for 64 bytes."""
