"""Options of a plan from a TOML file and from the command line, which wins."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from fxnorm.errors import UsageError
from fxnorm.planning.options import LAYER_KEYS, Options

PLAN_KEYS: Final = tuple(field.name for field in fields(Options))


def option_name(key: str) -> str:
    """A key as the command line's option."""
    return "--layer" if key == "layers" else "--" + key.replace("_", "-")


def settings(chosen: Mapping[str, Any], *, needs_format: bool = True) -> dict[str, Any]:
    """Keyword arguments of `Options.make`.

    Parameters
    ----------
    chosen
        The command line's options by name, None where not given; `config` names the file.
    needs_format
        Whether a format must be given.

    Raises
    ------
    UsageError
        If the file cannot be read or holds what is no option, or no format is given anywhere.
    """
    merged: dict[str, Any] = {}
    path = chosen.get("config")
    if path is not None:
        merged.update(_read(Path(path)))
    for name in PLAN_KEYS:
        value = chosen.get(name)
        if name == "layers":
            merged["layers"] = (*merged.get("layers", ()), *(value or ()))
        elif value is not None:
            merged[name] = value
    if needs_format and "format" not in merged:
        raise UsageError("--format: is missing; give the hardware's format, for example --format q5.3")
    return merged


def _read(path: Path) -> dict[str, Any]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"--config {path}: cannot be read: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"--config {path}: is not TOML: {error}") from error
    found: dict[str, Any] = {}
    rules: list[str] = []
    for key, value in content.items():
        name = key.replace("-", "_")
        if key == "layer":
            rules = _rules(path, value)
        elif name in PLAN_KEYS and name != "layers":
            if not isinstance(value, str):
                raise UsageError(
                    f'--config {path}: {key} must be a text in quotes, not {value!r}; for example {key} = "q5.3"'
                )
            if name in found:
                raise UsageError(f"--config {path}: {key} is given twice, with - and with _ in its name; give it once")
            found[name] = value
        else:
            options = [name.replace("_", "-") for name in PLAN_KEYS if name != "layers"]
            known = ", ".join([*options, '[layer."NAME"]'])
            raise UsageError(f"--config {path}: there is no option {key!r}; known are {known}")
    found["layers"] = tuple(rules)
    return found


def _rules(path: Path, tables: Any) -> list[str]:
    rules = []
    if not isinstance(tables, Mapping):
        raise UsageError(f'--config {path}: layer must be tables by name, [layer."conv*"], not {tables!r}')
    for pattern, table in tables.items():
        if not isinstance(table, Mapping):
            raise UsageError(f'--config {path}: [layer."{pattern}"] must be a table of options, not {table!r}')
        for key, value in table.items():
            if key not in LAYER_KEYS or not isinstance(value, str):
                raise UsageError(
                    f'--config {path}: [layer."{pattern}"] takes {", ".join(LAYER_KEYS)} as texts, not {key} = {value!r}'
                )
            rules.append(f"{pattern}:{key}={value}")
    return rules
