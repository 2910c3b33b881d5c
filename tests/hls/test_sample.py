"""The committed sample of emitted C++ is what is emitted now."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from commandline import run
from emission import needs_gxx
from networks import ROOT
from test_every_kernel import check_sources

SAMPLE = ROOT / "hls_out" / "digits_conv"
LARGEST = 300_000


@needs_gxx
@pytest.mark.parametrize("target", ["vitis", "catapult"])
def test_nothing_in_the_sample_that_hardware_has_not(target: str) -> None:
    check_sources(SAMPLE, target)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_sample_is_what_is_emitted_now(tmp_path: Path) -> None:
    """By the Makefile's own words; `make hls` writes it anew."""
    recipe = re.search(r"^hls:.*\n\t\$\(VENV\)/bin/fxnorm (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe is not None
    words = [str(ROOT / word) if word.startswith("examples/") else word for word in shlex.split(recipe[1])]
    assert words[-2:] == ["-o", "hls_out/digits_conv"]
    assert run(*words[:-1], tmp_path / "digits_conv").code == 0
    held, made = files(SAMPLE), files(tmp_path / "digits_conv")
    assert sorted(held) == sorted(made)
    assert [path for path in made if held[path] != made[path]] == []
    assert sum(map(len, held.values())) < LARGEST
