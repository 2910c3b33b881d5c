"""C++ as libclang sees it: a parsed file, and what its Python bindings leave out (operators, constant values, who owns a name)."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, TypeAlias

from fxnorm.errors import UsageError

Cursor: TypeAlias = Any
"""A `clang.cindex.Cursor`; the bindings carry no types."""

_FLOATING: Final = frozenset({"FLOAT", "DOUBLE", "LONGDOUBLE", "FLOAT128", "HALF", "FLOAT16", "BFLOAT16", "IBM128"})
_POINTING: Final = frozenset({"POINTER", "LVALUEREFERENCE", "RVALUEREFERENCE"})
_ARRAYS: Final = frozenset({"CONSTANTARRAY", "INCOMPLETEARRAY", "VARIABLEARRAY", "DEPENDENTSIZEDARRAY"})
_EVALUATED_INTEGER: Final = 1


@lru_cache(maxsize=1)
def bindings() -> Any:
    """Module `clang.cindex`, with the functions that it does not declare itself.

    Raises
    ------
    UsageError
        If libclang is not installed.
    """
    try:
        from clang import cindex
    except ImportError:
        raise UsageError("static check: needs libclang, which is not installed; pip install 'fxnorm[dev]'") from None
    from ctypes import c_int, c_longlong, c_void_p

    library = cindex.conf.lib
    for name, arguments, result in (
        ("clang_Cursor_Evaluate", [cindex.Cursor], c_void_p),
        ("clang_EvalResult_getKind", [c_void_p], c_int),
        ("clang_EvalResult_getAsLongLong", [c_void_p], c_longlong),
        ("clang_EvalResult_dispose", [c_void_p], None),
        ("clang_getCursorBinaryOperatorKind", [cindex.Cursor], c_int),
        ("clang_getCursorUnaryOperatorKind", [cindex.Cursor], c_int),
        ("clang_getBinaryOperatorKindSpelling", [c_int], cindex._CXString),
        ("clang_getUnaryOperatorKindSpelling", [c_int], cindex._CXString),
    ):
        function = getattr(library, name)
        function.argtypes, function.restype = arguments, result
    return cindex


@lru_cache(maxsize=1)
def system_folders() -> tuple[str, ...]:
    """Folders of the standard library's headers, as g++ knows them; libclang's wheel brings none.

    Raises
    ------
    UsageError
        If there is no g++.
    """
    try:
        done = subprocess.run(
            ["g++", "-E", "-x", "c++", "-", "-v"], input="", capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        raise UsageError("static check: needs g++ for the standard headers, and cannot run it; install g++") from None
    listed = done.stderr.partition("#include <...>")[2].partition("End of search list")[0]
    return tuple(line.strip() for line in listed.splitlines()[1:] if line.strip())


def parse(
    source: Path, include: Sequence[Path], system: Sequence[Path], defines: Iterable[str], text: str | None = None
) -> Any:
    """Translation unit of a C++14 file, preprocessing included; with a text, of that in the place of a file."""
    cindex = bindings()
    arguments = ["-x", "c++", "-std=c++14", *(f"-D{name}" for name in defines)]
    for folder in include:
        arguments += ["-I", str(folder)]
    for vendor in (*map(str, system), *system_folders()):
        arguments += ["-isystem", vendor]
    options = cindex.TranslationUnit.PARSE_DETAILED_PROCESSING_RECORD
    try:
        unsaved = None if text is None else [(str(source), text)]
        return cindex.Index.create().parse(str(source), args=arguments, unsaved_files=unsaved, options=options)
    except cindex.TranslationUnitLoadError:
        raise UsageError(f"static check: {source} cannot be read") from None


def kind(cursor: Cursor) -> str:
    """Name of a cursor's kind; newer libraries have kinds that the bindings do not know."""
    try:
        return str(cursor.kind.name)
    except ValueError:
        return ""


def operator(cursor: Cursor) -> str:
    """Spelling of a unary or binary operator, overloaded ones included: "/", "<", "++"; "" where there is none."""
    library = bindings().conf.lib
    match kind(cursor):
        case "BINARY_OPERATOR" | "COMPOUND_ASSIGNMENT_OPERATOR":
            return _text(library.clang_getBinaryOperatorKindSpelling(library.clang_getCursorBinaryOperatorKind(cursor)))
        case "UNARY_OPERATOR":
            return _text(library.clang_getUnaryOperatorKindSpelling(library.clang_getCursorUnaryOperatorKind(cursor)))
        case "CALL_EXPR":
            return cursor.spelling.removeprefix("operator") if cursor.spelling.startswith("operator") else ""
    return ""


def _text(string: Any) -> str:
    return string if isinstance(string, str) else str(bindings().conf.lib.clang_getCString(string) or "")


def constant(cursor: Cursor) -> int | None:
    """Value of an integral constant expression; None where it is none."""
    library = bindings().conf.lib
    found = library.clang_Cursor_Evaluate(cursor)
    if not found:
        return None
    try:
        if library.clang_EvalResult_getKind(found) != _EVALUATED_INTEGER:
            return None
        return int(library.clang_EvalResult_getAsLongLong(found))
    finally:
        library.clang_EvalResult_dispose(found)


def element(type_: Any) -> Any:
    """Type of an array's elements, of however many dimensions; other types as they are."""
    own = type_.get_canonical()
    while own.kind.name in _ARRAYS:
        own = own.element_type.get_canonical()
    return own


def target(type_: Any) -> Any:
    """What pointers, references and arrays lead to."""
    own = element(type_)
    while own.kind.name in _POINTING:
        own = element(own.get_pointee())
    return own


def floats(type_: Any) -> bool:
    """Whether a type is floating point, or is made of it: an array, a pointer, a template of it."""
    own = target(type_)
    if own.kind.name in _FLOATING:
        return True
    return any(
        own.get_template_argument_type(place).kind.name != "INVALID" and floats(own.get_template_argument_type(place))
        for place in range(max(own.get_num_template_arguments(), 0))
    )


def unchanging(type_: Any) -> bool:
    """Whether an object of a type stays as it is: const, with const elements, and a reference to what is const."""
    # The canonical type of an array is as const as its elements are; that of an element, asked for by itself, has lost it.
    own = type_.get_canonical()
    if own.kind.name in {"LVALUEREFERENCE", "RVALUEREFERENCE"}:
        return unchanging(own.get_pointee())
    return bool(own.is_const_qualified())


def namespaces(cursor: Cursor) -> list[str]:
    """Names of the namespaces and classes around a declaration, the outermost first."""
    names: list[str] = []
    own = cursor.semantic_parent
    while own is not None and kind(own) not in {"", "TRANSLATION_UNIT", "INVALID_FILE", "NO_DECL_FOUND"}:
        names.insert(0, own.spelling)
        own = own.semantic_parent
    return names
