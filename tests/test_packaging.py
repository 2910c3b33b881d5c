"""What a user installs is the whole program: a wheel, in an environment that has never seen the source tree."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "fxnorm", "templates")


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command with nothing of this environment's Python settings, and fail with what it printed."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        [*map(str, command)], cwd=cwd, env=clean, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


def test_every_package_folder_is_listed() -> None:
    folders = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for path in (ROOT / "fxnorm").rglob("*.py")
        if "__pycache__" not in path.parts
    }
    listed = set(PROJECT["tool"]["setuptools"]["packages"])
    assert {name for name in listed if name.startswith("fxnorm") and name != "fxnorm.templates"} == folders
    for name in folders:
        assert (ROOT / Path(*name.split(".")) / "__init__.py").is_file()


def test_a_wide_enough_range_of_pythons_is_promised() -> None:
    assert PROJECT["project"]["requires-python"] == ">=3.11,<3.14"
    assert PROJECT["project"]["license"] == "Apache-2.0"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build from a copy: a build in place leaves folders beside the source."""
    tree = tmp_path_factory.mktemp("tree")
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tree / name)
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", folder, tree, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel in it; what it depends on is borrowed from this one, so nothing is downloaded."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True, with_pip=False)
    python = folder / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-index", "--no-deps", wheel, cwd=folder)
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).stdout.strip())
    # .pth files inside a folder that a .pth file names are not read, so an editable fxnorm over there stays unseen.
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return folder


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    names = [name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name]
    source = {path.relative_to(ROOT).as_posix() for path in (ROOT / "fxnorm").rglob("*") if path.is_file()}
    source = {name for name in source if "__pycache__" not in name}
    assert {name for name in names if not name.startswith("fxnorm/templates/")} == source
    assert any(name.endswith("licenses/LICENSE") for name in zipfile.ZipFile(wheel).namelist())


@pytest.mark.slow
def test_an_installed_fxnorm_simulates(environment: Path, tmp_path: Path) -> None:
    python, fxnorm = environment / "bin" / "python", environment / "bin" / "fxnorm"
    where = run(python, "-c", "import fxnorm; print(fxnorm.__file__)", cwd=tmp_path).stdout.strip()
    assert Path(where).is_relative_to(environment)

    assert "simulate" in run(fxnorm, "--help", cwd=tmp_path).stdout

    for name in ("digits_conv.onnx", "digits_conv_test.npz"):
        shutil.copy(ROOT / "examples" / name, tmp_path)
    arguments = ("digits_conv.onnx", "--data", "digits_conv_test.npz", "--format", "q8.8", "--json", "-")
    result = json.loads(run(fxnorm, "simulate", *arguments, cwd=tmp_path).stdout)
    assert result["samples"] == 450
    assert result["plan"]["format"] == "q8.8"
    assert result["accuracy"]["fixed"] == pytest.approx(result["accuracy"]["fp32"], abs=0.01)


@pytest.mark.slow
def test_an_installed_fxnorm_emits(environment: Path, tmp_path: Path) -> None:
    """Templates and headers are in the wheel."""
    for name in ("digits_dense.onnx", "digits_dense_test.npz"):
        shutil.copy(ROOT / "examples" / name, tmp_path)
    arguments = ("digits_dense.onnx", "--data", "digits_dense_test.npz", "--format", "q5.3", "-o", "net")
    run(environment / "bin" / "fxnorm", "emit", *arguments, cwd=tmp_path)
    files = json.loads((tmp_path / "net" / "manifest.json").read_text())["files"]
    assert {
        path.relative_to(tmp_path / "net").as_posix() for path in (tmp_path / "net").rglob("*.*") if path.is_file()
    } >= {name for name in files if "." in name}
    assert {"vitis/src/l00_linear.cpp", "catapult/src/fx_arith.h", "sim/hls_stream.h"} <= set(files)
