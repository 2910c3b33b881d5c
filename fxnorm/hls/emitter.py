"""Templates to text; the only module that knows Jinja.

Templates come from the package alone, an undefined name is an error, and an error says which template and which line it is from.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, Final

import jinja2

from fxnorm.hls.block import Port, literal, native_type
from fxnorm.hls.dialect import Dialect
from fxnorm.hls.expressions import FILTERS

LINE: Final = 110


class TemplateFault(Exception):
    """A template that cannot be written out: a fault of the program, not of its user."""


@cache
def template_folder() -> Path:
    """Where templates are: inside of an installed package, beside it in a checkout."""
    package = Path(__file__).parents[1]
    installed, checkout = package / "templates", package.parent / "templates"
    return installed if (installed / "kernels").is_dir() else checkout


def include(name: str) -> bytes:
    """A header that is copied as it is."""
    return (template_folder() / "include" / name).read_bytes()


@cache
def _environment(folder: Path) -> jinja2.Environment:
    """Templates of a folder, compiled once."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
        auto_reload=False,
    )
    environment.filters.update(FILTERS, columns=columns, boolean=boolean, code=code, native=native)
    return environment


class Emitter:
    """Writes templates out for one dialect, or for none."""

    def __init__(self, dialect: Dialect | None = None, folder: Path | None = None) -> None:
        self._environment = _environment(folder or template_folder())
        self._globals: dict[str, Any] = {}
        if dialect is not None:
            self._globals["d"] = dialect
            self._globals["m"] = self._environment.get_template("kernels/macros.j2").make_module({"d": dialect})

    def render(self, template: str, /, **values: Any) -> bytes:
        """Text of a template, as UTF-8.

        Raises
        ------
        TemplateFault
            Naming the template and the line.
        """
        try:
            text = self._environment.get_template(template).render(**self._globals, **values)
        except jinja2.TemplateSyntaxError as error:
            raise TemplateFault(f"{error.name or template}:{error.lineno}: {error.message}") from error
        except Exception as error:
            raise TemplateFault(f"{_place(error, template)}: {type(error).__name__}: {error}") from error
        return _tidy(text).encode()


def _place(error: Exception, name: str) -> str:
    """Template and line that an error is from: the innermost frame of a template in its traceback."""
    place = name
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename.endswith(".j2"):
            path = Path(frame.filename)
            place = f"{path.parent.name}/{path.name}:{frame.lineno}"
    return place


def _tidy(text: str) -> str:
    """Lines without blanks at their ends, and never two empty ones in a row."""
    lines: list[str] = []
    for line in (own.rstrip() for own in text.strip("\n").split("\n")):
        if line or (lines and lines[-1]):
            lines.append(line)
    return "\n".join(lines) + "\n"


def columns(entries: Iterable[str]) -> str:
    """Entries of an array, with commas, in lines."""
    lines, line = [], ""
    for entry in entries:
        if line and len(line) + len(entry) + 2 > LINE:
            lines.append(line)
            line = ""
        line += f" {entry}," if line else f"  {entry},"
    return "\n".join([*lines, line])


def boolean(value: bool) -> str:
    """C++ spelling."""
    return "true" if value else "false"


def code(value: int) -> str:
    """C++ expression of a code."""
    return literal(value)


def native(port: Port) -> str:
    """Native integer type that holds a value's codes."""
    return native_type(port.bits)
