"""Faults in emitted projects: one place of one file changed, and what was not changed compiled only once."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fxnorm.hls.build import FLAGS, Build
from fxnorm.hls.cosim import cosim
from fxnorm.hls.cosim_report import CosimReport

QUICK = tuple("-O0" if flag == "-O2" else flag for flag in FLAGS)


@contextmanager
def changed(path: Path, pattern: str, change: str) -> Iterator[None]:
    """A file with one place of it changed."""
    text = path.read_text()
    other = re.sub(pattern, change, text, count=1)
    assert other != text
    path.write_text(other)
    try:
        yield
    finally:
        path.write_text(text)


def run(project: Path, **options: object) -> CosimReport:
    """Compile without optimization, compare."""
    return cosim(project, flags=QUICK, **options)  # type: ignore[arg-type]


def compile_once(patch: pytest.MonkeyPatch, kept: Path) -> None:
    """Take objects of sources that were compiled before, with the same headers around them and the same words, from a folder."""
    compiled = Build._run

    def run_once(self: Build, command: list[str], where: Path) -> None:
        if "-c" not in command:
            return compiled(self, command, where)
        target = self.folder / self.dialect.name
        read = [where, *sorted((target / "src").glob("*.h")), *sorted((self.folder / "sim").glob("*.h"))]
        words = [word for word in command if not word.startswith((f"-I{self.folder}", str(self.scratch)))]
        digest = hashlib.sha256("\0".join([*words, *(path.read_text() for path in read)]).encode()).hexdigest()
        made, held = Path(command[-1]), kept / f"{digest}.o"
        if not held.exists():
            compiled(self, command, where)
            shutil.copy(made, held)
        else:
            shutil.copy(held, made)

    patch.setattr(Build, "_run", run_once)
