"""The command line in the test's own process, and in a real one."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fxnorm.cli import main


@dataclass(frozen=True)
class Ran:
    """What a command line gave back."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, strictly read: no NaN, no infinity, nothing else there."""
        return read_json(self.out)

    @property
    def message(self) -> str:
        """The error message: one line on standard error, and nothing on standard output."""
        assert self.out == ""
        assert self.err.startswith("fxnorm: error: ")
        assert self.err.endswith("\n")
        assert self.err.count("\n") == 1, self.err
        assert "Traceback" not in self.err
        return self.err.removeprefix("fxnorm: error: ").rstrip("\n")


def read_json(text: str) -> Any:
    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


def run(*arguments: object) -> Ran:
    """Run `fxnorm` in this process."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as exit_:
        main([str(argument) for argument in arguments])
    code = exit_.value.code
    assert isinstance(code, int)
    return Ran(code, out.getvalue(), err.getvalue())


def command(*arguments: object) -> list[str]:
    """Words of a real process that does what the installed command does."""
    return [sys.executable, "-c", "from fxnorm.cli import main; main()", *map(str, arguments)]


def spawn(*arguments: object, **options: Any) -> Ran:
    """Run `fxnorm` in a process of its own, its output in pipes."""
    options = {"capture_output": True, "text": True, "timeout": 120, **options}
    done = subprocess.run(command(*arguments), check=False, **options)
    return Ran(done.returncode, done.stdout or "", done.stderr or "")


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def hear_interrupts() -> None:
    """Before a process begins: a shell's background job ignores Ctrl-C, and so do its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
