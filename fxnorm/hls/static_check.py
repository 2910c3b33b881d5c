"""What emitted C++ must not hold, looked for with libclang: what cannot become hardware, or means two things to the two targets.

Files in the folders of the sources are judged, and everything that they instantiate from templates of theirs: a template's body is read
as it stands and once for every set of arguments that a function in reach gives it. Vendors' and system headers are read, not judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fxnorm.hls import clang_tree as tree
from fxnorm.hls.clang_tree import Cursor, constant, element, floats, kind, namespaces, operator, target, unchanging
from fxnorm.hls.loop_check import unbounded

MACROS: Final = frozenset({"W", "I", "S", "W2", "I2", "S2"})
"""Names of template parameters in the vendors' headers: a macro of such a name would rewrite them."""
CHANNELS: Final = ("ac_channel<", "hls::stream<")
"""May be static: a hierarchical design of Catapult keeps its channels so. They are empty between two frames."""
_HEAP: Final = frozenset({"malloc", "calloc", "realloc", "free", "aligned_alloc", "posix_memalign", "alloca"})
_FUNCTIONS: Final = frozenset(
    {"FUNCTION_DECL", "CXX_METHOD", "CONSTRUCTOR", "DESTRUCTOR", "CONVERSION_FUNCTION", "FUNCTION_TEMPLATE"}
)
_TEMPLATES: Final = frozenset({"FUNCTION_TEMPLATE", "CLASS_TEMPLATE", "CLASS_TEMPLATE_PARTIAL_SPECIALIZATION"})
_DECLARATIONS: Final = frozenset({"VAR_DECL", "PARM_DECL", "FIELD_DECL", "TYPEDEF_DECL", "TYPE_ALIAS_DECL"})
_RULE_OF_KIND: Final = {
    "CXX_NEW_EXPR": ("heap", "new"),
    "CXX_DELETE_EXPR": ("heap", "delete"),
    "CXX_THROW_EXPR": ("exception", "throw"),
    "CXX_TRY_STMT": ("exception", "try"),
    "CXX_CATCH_STMT": ("exception", "catch"),
    "CXX_DYNAMIC_CAST_EXPR": ("virtual", "dynamic_cast"),
    "CXX_TYPEID_EXPR": ("virtual", "typeid"),
    "FLOATING_LITERAL": ("float", "a floating-point literal"),
    "WHILE_STMT": ("loop", "while"),
    "DO_STMT": ("loop", "do"),
    "CXX_FOR_RANGE_STMT": ("loop", "for over a range"),
    "GOTO_STMT": ("loop", "goto"),
    "INDIRECT_GOTO_STMT": ("loop", "goto"),
}
RULES: Final = (
    "parse",
    "float",
    "heap",
    "recursion",
    "loop",
    "state",
    "container",
    "virtual",
    "exception",
    "array",
    "division",
    "macro",
)
"""Rules by name; `parse` is what the compiler itself calls an error."""


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """Something that must not be there.

    Attributes
    ----------
    file, line
        Where.
    rule
        One of `RULES`.
    what
        In words.
    """

    file: str
    line: int
    rule: str
    what: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.rule}: {self.what}"


def check(
    sources: Sequence[Path], *, include: Sequence[Path] = (), system: Sequence[Path] = (), defines: Iterable[str] = ()
) -> list[Finding]:
    """Everything in C++ sources that must not be there, sorted by file and line, once a line and rule.

    Parameters
    ----------
    sources
        The .cpp files. What lies in their folders, or below, is judged.
    include, system
        Folders of headers; those of `system` belong to vendors.
    defines
        Macros that are defined, "NAME" or "NAME=VALUE".

    Raises
    ------
    UsageError
        If libclang or g++ is missing, or a file cannot be read.
    """
    roots = {source.resolve().parent for source in sources}
    pass_ = _Pass(roots)
    for unit in _units(sources, include, system, tuple(defines)):
        pass_.read(unit)
    pass_.close()
    return sorted(pass_.found.values())


def _units(
    sources: Sequence[Path], include: Sequence[Path], system: Sequence[Path], defines: Sequence[str]
) -> list[Any]:
    """Translation units of sources: one of all, where they get along in one, for vendors' headers take a second each time."""
    if len(sources) > 1 and all(source.is_file() for source in sources):
        text = "".join(f'#include "{source.resolve()}"\n' for source in sources)
        joined = tree.parse(sources[0].resolve().parent / "all sources.cpp", include, system, defines, text)
        if not _errors(joined):
            return [joined]
    return [tree.parse(source, include, system, defines) for source in sources]


def _errors(unit: Any) -> list[Any]:
    return [diagnostic for diagnostic in unit.diagnostics if diagnostic.severity >= diagnostic.Error]


class _Pass:
    """One look at all sources."""

    def __init__(self, roots: set[Path]) -> None:
        self.found: dict[tuple[str, int, str], Finding] = {}
        self._roots = roots
        self._own: dict[str, bool] = {}
        self._calls: dict[str, set[str]] = {}
        self._defined: dict[str, Cursor] = {}
        self._waiting: list[Cursor] = []

    def read(self, unit: Any) -> None:
        """Judge one translation unit."""
        for diagnostic in _errors(unit):
            place = diagnostic.location
            self._add(place.file.name if place.file else unit.spelling, place.line, "parse", diagnostic.spelling)
        for cursor in unit.cursor.get_children():
            if self._judged(cursor):
                if kind(cursor) == "MACRO_DEFINITION":
                    if cursor.spelling in MACROS:
                        self._report(cursor, "macro", f"#define {cursor.spelling}")
                else:
                    self._walk(cursor, "", dependent=False)
        while self._waiting:
            own = self._waiting.pop()
            self._walk(own, "", dependent=False)

    def close(self) -> None:
        """Judge what takes all units: who calls whom."""
        for circle in _circles(self._calls):
            first = self._defined[circle[0]]
            self._report(
                first, "recursion", " calls ".join(self._defined[name].spelling for name in (*circle, circle[0]))
            )

    def _judged(self, cursor: Cursor) -> bool:
        file = cursor.location.file
        if file is None:
            return False
        name = file.name
        if name not in self._own:
            path = Path(name).resolve()
            self._own[name] = any(root in path.parents for root in self._roots)
        return self._own[name]

    def _report(self, cursor: Cursor, rule: str, what: str) -> None:
        self._add(cursor.location.file.name, cursor.location.line, rule, what)

    def _add(self, file: str, line: int, rule: str, what: str) -> None:
        self.found.setdefault((file, line, rule), Finding(file, line, rule, what))

    def _walk(self, top: Cursor, owner: str, dependent: bool) -> None:
        """Look at a declaration and all that is in it; `dependent`: in a template whose arguments are open."""
        stack = [(top, owner, dependent)]
        while stack:
            cursor, owner, dependent = stack.pop()
            name = kind(cursor)
            dependent = dependent or name in _TEMPLATES
            if name in _FUNCTIONS:
                owner = cursor.get_usr()
                if not dependent:
                    if owner in self._calls and cursor.is_definition():
                        continue
                    if cursor.is_definition():
                        self._calls[owner] = set()
                        self._defined[owner] = cursor
            self._look(cursor, name, dependent)
            if not dependent and owner:
                self._follow(cursor, owner)
            if not _plain_table(cursor, name):
                stack += [(child, owner, dependent) for child in cursor.get_children()]

    def _follow(self, cursor: Cursor, owner: str) -> None:
        """Note whom a function calls, and look at what a call instantiates."""
        callee = cursor.referenced
        if callee is None or callee == cursor or kind(callee) not in _FUNCTIONS:
            return
        usr = callee.get_usr()
        if owner in self._calls:
            self._calls[owner].add(usr)
        body = callee.get_definition()
        if body is not None and usr not in self._calls and self._judged(body):
            self._waiting.append(body)

    def _look(self, cursor: Cursor, name: str, dependent: bool) -> None:
        if name in _RULE_OF_KIND:
            self._report(cursor, *_RULE_OF_KIND[name])
        if name in _DECLARATIONS or name in _FUNCTIONS:
            self._look_at_types(cursor, name)
        elif cursor.kind.is_expression() and floats(cursor.type):
            self._report(cursor, "float", f"an expression of the type {cursor.type.spelling}")
        if name == "VAR_DECL":
            self._look_at_variable(cursor)
        elif name == "FIELD_DECL" and cursor.is_mutable_field():
            self._report(cursor, "state", f"{cursor.spelling} is mutable")
        elif name in {"CXX_METHOD", "DESTRUCTOR"} and cursor.is_virtual_method():
            self._report(cursor, "virtual", f"{cursor.spelling} is virtual")
        elif name == "CXX_BASE_SPECIFIER" and tree.bindings().conf.lib.clang_isVirtualBase(cursor):
            self._report(cursor, "virtual", f"{cursor.spelling} is a virtual base")
        elif name == "CALL_EXPR" and cursor.spelling in _HEAP:
            self._report(cursor, "heap", cursor.spelling)
        elif name == "FOR_STMT" and not dependent:
            why = unbounded(cursor)
            if why:
                self._report(cursor, "loop", why)
        if operator(cursor) in {"/", "%", "/=", "%="} and not dependent and not _shift(cursor):
            self._report(
                cursor, "division", f"{operator(cursor)} by what is no power of two, or not known while compiling"
            )

    def _look_at_types(self, cursor: Cursor, name: str) -> None:
        own = cursor.type
        if name in _FUNCTIONS:
            own = cursor.result_type
        elif name in {"TYPEDEF_DECL", "TYPE_ALIAS_DECL"}:
            own = cursor.underlying_typedef_type
        if floats(own):
            self._report(cursor, "float", f"{cursor.spelling or 'a parameter'} has the type {own.spelling}")
        declared = target(own).get_declaration()
        if namespaces(declared)[:1] == ["std"] and kind(declared) in {"CLASS_DECL", "STRUCT_DECL"}:
            self._report(cursor, "container", f"{cursor.spelling or 'a parameter'} has the type {own.spelling}")
        if own.get_canonical().kind.name == "VARIABLEARRAY":
            self._report(cursor, "array", f"{cursor.spelling} has no constant size")

    def _look_at_variable(self, cursor: Cursor) -> None:
        static = cursor.storage_class.name == "STATIC" or kind(cursor.semantic_parent) not in _FUNCTIONS
        if not static or unchanging(cursor.type):
            return
        if element(cursor.type).spelling.startswith(CHANNELS) and kind(cursor.semantic_parent) in _FUNCTIONS:
            return
        self._report(cursor, "state", f"{cursor.spelling} keeps its value, and is not const")


def _shift(cursor: Cursor) -> bool:
    """Whether a division is one by a constant power of two, or is constant itself."""
    if constant(cursor) is not None:
        return True
    operands = list(cursor.get_children())
    divisor = constant(operands[-1]) if operands and kind(cursor) != "CALL_EXPR" else None
    return divisor is not None and divisor > 0 and divisor & (divisor - 1) == 0


def _plain_table(cursor: Cursor, name: str) -> bool:
    """Whether it is a table of integers, which has nothing to look at and may be long."""
    return (
        name == "VAR_DECL"
        and cursor.type.get_canonical().kind.name == "CONSTANTARRAY"
        and element(cursor.type).kind.name
        in {"SCHAR", "CHAR_S", "UCHAR", "SHORT", "USHORT", "INT", "UINT", "LONG", "ULONG", "LONGLONG", "ULONGLONG"}
    )


def _circles(calls: dict[str, set[str]]) -> Iterator[list[str]]:
    """Functions that call one another in a circle, one circle for each that is closed by a walk through the calls."""
    done: set[str] = set()
    for start in sorted(calls):
        if start in done:
            continue
        path = [start]
        rest = [iter(sorted(calls[start]))]
        while path:
            following = next(rest[-1], None)
            if following is None:
                done.add(path.pop())
                rest.pop()
            elif following in path:
                yield path[path.index(following) :]
            elif following in calls and following not in done:
                path.append(following)
                rest.append(iter(sorted(calls[following])))
