"""Imports point one way, each outside library has its one place, and the command line starts without the heavy ones."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "fxnorm"

# From the bottom up. A module imports from its own package and from the lines above its own, never from its own line's
# other packages and never from below; `fxnorm` itself, the public face, stands last and may name everything.
ORDER: tuple[tuple[str, ...], ...] = (
    ("errors",),
    ("fixed",),
    ("graph", "engine"),
    ("kernels", "arrays", "random_samples"),
    ("stored_samples",),
    ("lowering", "data", "samples", "proofs"),
    ("calibration", "metrics"),
    ("planning", "diagnosis"),
    ("runtime", "exact_onnx"),
    ("simulation", "expected", "output_digest"),
    ("part",),
    ("evaluation",),
    ("study",),
    ("advice",),
    ("hls",),
    ("cost",),
    ("report",),
    ("gate",),
    ("sweeping",),
    ("searching",),
    ("page",),
    ("api", "commands", "emission"),
    ("lone_kernels",),
    ("hls_commands", "plan_commands", "report_commands", "search_commands", "sweep_commands", "testing"),
    ("kernel_commands",),
    ("cli_options",),
    ("cli",),
    ("",),
)

# Libraries that one part of the program keeps to itself.
KEPT_BY = {
    "onnx": {"graph", "runtime", "exact_onnx", "api"},
    "onnx_ir": {"graph"},
    "google": {"graph"},
    "click": {"cli", "cli_options"},
    "fxpmath": {"fixed", "simulation"},
    "clang": {"hls"},
    "optuna": {"searching"},
    "dask": {"sweeping"},
    "distributed": {"sweeping"},
    "jinja2": {"hls", "page"},
    "markupsafe": {"page"},
    "altair": {"page"},
    "vl_convert": {"page"},
}

HEAVY = ("onnx", "onnx_ir", "onnxruntime", "mpmath", "fxpmath", "rich", "altair", "vl_convert", "distributed")


def part(module: str) -> str:
    """Name the part of the program that a module belongs to: fxnorm.fixed.arith → fixed, fxnorm → ""."""
    return f"{module}.".split(".")[1]


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(tree: ast.Module, module: str, is_package: bool) -> Iterator[tuple[int, str]]:
    """Yield line and full module name of every import in a file, wherever it stands and whatever it is for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = module.split(".")
                parents = parents[: len(parents) - node.level + is_package]
                base = ".".join([*parents, base] if base else parents)
            if base == "fxnorm":
                # `from fxnorm import plan` names a part, `from fxnorm import load` the public face.
                parts = {name for line in ORDER for name in line}
                yield from (
                    (node.lineno, f"fxnorm.{alias.name}" if alias.name in parts else "fxnorm") for alias in node.names
                )
            else:
                yield node.lineno, base


def violations(source: str, module: str, *, is_package: bool = False) -> list[str]:
    """Say what is wrong with one file's imports; empty where nothing is."""
    height = {name: line for line, names in enumerate(ORDER) for name in names}
    own = part(module)
    if own not in height:
        return [f"{module}: '{own}' has no place in ORDER"]
    wrong = []
    for line, target in imported(ast.parse(source), module, is_package):
        top = target.split(".")[0]
        if top in KEPT_BY and own not in KEPT_BY[top]:
            wrong.append(f"{module}:{line} imports {target}, which only {', '.join(KEPT_BY[top])} may")
        if top != "fxnorm" or part(target) == own:
            continue
        if part(target) not in height:
            wrong.append(f"{module}:{line} imports {target}, which has no place in ORDER")
        elif height[part(target)] >= height[own]:
            wrong.append(f"{module}:{line} imports {target}, which is not below it")
    return wrong


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    found = violations(path.read_text(encoding="utf-8"), module_name(path), is_package=path.name == "__init__.py")
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("fxnorm.fixed.arith", "from fxnorm.kernels.linear import narrow"),
        ("fxnorm.fixed.arith", "import fxnorm.planning.plan"),
        ("fxnorm.fixed.arith", "from fxnorm import plan"),
        ("fxnorm.fixed.arith", "from fxnorm import load"),
        ("fxnorm.fixed.arith", "import fxnorm"),
        ("fxnorm.kernels.linear", "from ..plan import plan"),
        ("fxnorm.kernels.linear", "def run():\n    from fxnorm.lowering import builder"),
        ("fxnorm.kernels.linear", "if TYPE_CHECKING:\n    from fxnorm.lowering import builder"),
        ("fxnorm.engine.products", "from fxnorm.graph.graph import Graph"),
        ("fxnorm.errors", "from fxnorm.fixed.format import Format"),
        ("fxnorm.novelty.thing", "import math"),
        ("fxnorm.cli", "import fxnorm.novelty"),
        ("fxnorm.kernels.linear", "import onnx.helper"),
        ("fxnorm.simulate", "from click import echo"),
    ],
)
def test_a_wrong_import_is_found(module: str, source: str) -> None:
    assert len(violations(source, module)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("fxnorm.kernels.linear", "from fxnorm.kernels.stage import Tally\nfrom fxnorm.fixed import arith"),
        (
            "fxnorm.kernels.linear",
            "from . import stage\nfrom ..fixed.format import Format\nfrom ..errors import FormatError",
        ),
        ("fxnorm.graph.model_file", "import onnx_ir as ir\nimport numpy as np\nfrom fxnorm import errors"),
        ("fxnorm.cli", "import click\nfrom fxnorm.planning.plan import Plan"),
    ],
)
def test_a_right_import_passes(module: str, source: str) -> None:
    assert violations(source, module) == []


def test_a_packages_own_relative_imports_pass() -> None:
    assert violations("from .fixed.format import Format", "fxnorm", is_package=True) == []
    assert violations("from ..kernels import linear", "fxnorm.fixed", is_package=True) != []


@pytest.mark.parametrize("arguments", [("--help",), ("simulate", "--help")])
def test_help_starts_without_the_heavy_libraries(arguments: tuple[str, ...]) -> None:
    program = (
        "import sys\n"
        "from fxnorm.cli import main\n"
        f"sys.argv = ['fxnorm', *{arguments!r}]\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        f"    print('loaded:', *[name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout
    assert done.stderr.splitlines()[-1].strip() == "loaded:"
