"""Whether a `for` loop in C++ runs a number of times that is known while compiling."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from fxnorm.hls.clang_tree import Cursor, constant, kind, operator

_UP: Final = frozenset({"++", "+="})
_DOWN: Final = frozenset({"--", "-="})
_STEPS: Final = {"<": _UP, "<=": _UP, ">": _DOWN, ">=": _DOWN, "!=": frozenset({"++", "--"})}
_INTEGERS: Final = frozenset(
    {"SCHAR", "CHAR_S", "UCHAR", "SHORT", "USHORT", "INT", "UINT", "LONG", "ULONG", "LONGLONG", "ULONGLONG"}
)


def unbounded(loop: Cursor) -> str:
    """Say why a `for` is not one over constants; empty where it is.

    Constants are where the counter starts, what it is compared with, and its step, which leads to the end; the body leaves it alone.
    """
    parts = list(loop.get_children())
    if len(parts) != 4:
        return "for without a start, an end or a step"
    start, condition, step, body = parts
    variable = next(iter(start.get_children()), None)
    if kind(start) != "DECL_STMT" or variable is None or kind(variable) != "VAR_DECL":
        return "for without a counter of its own"
    if variable.type.get_canonical().kind.name not in _INTEGERS:
        return f"the counter {variable.spelling} is no native integer"
    initial = list(variable.get_children())
    if not initial or constant(initial[-1]) is None:
        return f"{variable.spelling} starts at no constant"
    word = operator(condition)
    sides = list(condition.get_children())
    if word not in _STEPS or len(sides) != 2 or not _names(sides[0], variable):
        return f"the end is no comparison of {variable.spelling}"
    if constant(sides[1]) is None:
        return f"{variable.spelling} is compared with no constant"
    own = list(step.get_children())
    if operator(step) not in _STEPS[word] or not own or not _names(own[0], variable):
        return f"the step of {variable.spelling} does not lead to the end"
    if len(own) == 2 and (constant(own[1]) or 0) <= 0:
        return f"{variable.spelling} has no constant step"
    if any(_changes(cursor, variable) for cursor in _inside(body)):
        return f"the body changes {variable.spelling}"
    return ""


def _inside(cursor: Cursor) -> Iterator[Cursor]:
    yield cursor
    for child in cursor.get_children():
        yield from _inside(child)


def _names(cursor: Cursor, variable: Cursor) -> bool:
    """Whether an expression is a variable's name and nothing else."""
    while kind(cursor) in {"UNEXPOSED_EXPR", "PAREN_EXPR"}:
        parts = list(cursor.get_children())
        if len(parts) != 1:
            return False
        cursor = parts[0]
    return kind(cursor) == "DECL_REF_EXPR" and cursor.referenced == variable


def _changes(cursor: Cursor, variable: Cursor) -> bool:
    """Whether an expression writes a variable, or gives it away to be written: by its address, or by reference."""
    word = operator(cursor)
    parts = list(cursor.get_children())
    match kind(cursor):
        case "BINARY_OPERATOR" | "COMPOUND_ASSIGNMENT_OPERATOR":
            writes = word == "=" or (kind(cursor) == "COMPOUND_ASSIGNMENT_OPERATOR")
            return writes and _names(parts[0], variable)
        case "UNARY_OPERATOR":
            return word in {"++", "--", "&"} and _names(parts[0], variable)
        case "CALL_EXPR":
            # What is read is wrapped in a conversion from the variable to its value; what is bound to a reference is not.
            return any(kind(part) == "DECL_REF_EXPR" and _names(part, variable) for part in parts)
        case "VAR_DECL":
            own = cursor.type.get_canonical()
            return (
                own.kind.name == "LVALUEREFERENCE"
                and not own.get_pointee().is_const_qualified()
                and any(_names(part, variable) for part in parts)
            )
    return False
