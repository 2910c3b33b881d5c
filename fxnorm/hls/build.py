"""Emitted sources to a program with plain g++: the vendors' headers, compilers side by side, a run of the testbench."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import resource
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fxnorm.errors import UsageError
from fxnorm.hls.dialect import Dialect

FLAGS: Final = ("-std=c++14", "-O2", "-Wno-unknown-pragmas", "-Wno-unused-label")
INSTALL: Final = "install them with `pip install --no-deps hls4ml`, or name their folder with --include"
_VARIABLES: Final = {"ac": "MGC_HOME", "ap": "XILINX_HLS"}
_INSIDE: Final = {"ac": ("shared/include", "catapult/ac_types/include"), "ap": ("include", "vivado/ap_types")}

Progress = Callable[[str, int, int], None]
"""Called with a target's name, how many of its files are compiled, and how many there are."""


def find_headers(dialect: Dialect, include: Sequence[str] = ()) -> Path:
    """Folder of a vendor's types: named ones first, then the vendor's tool, then those inside of an installed hls4ml.

    Raises
    ------
    UsageError
        If there are none.
    """
    tool, wheel = _INSIDE[dialect.types]
    candidates = [Path(folder) for folder in include]
    home = os.environ.get(_VARIABLES[dialect.types])
    if home:
        candidates.append(Path(home) / tool)
    with contextlib.suppress(ImportError, ValueError):
        found = importlib.util.find_spec("hls4ml")
        if found is not None and found.submodule_search_locations:
            candidates += [Path(root) / "templates" / wheel for root in found.submodule_search_locations]
    for folder in candidates:
        if (folder / dialect.header).is_file():
            return folder
    raise UsageError(
        f"cosim: {dialect.name}: {dialect.header} must be in a folder of --include, in ${_VARIABLES[dialect.types]} or in an "
        f"installed hls4ml, and it is in none of them; {INSTALL}"
    )


@dataclass(frozen=True)
class Build:
    """One target of a project on its way from sources to a program."""

    folder: Path
    name: str
    dialect: Dialect
    headers: Path
    compiler: str
    scratch: Path

    def compile(self, flags: Sequence[str], jobs: int | None, progress: Progress | None) -> Path:
        """Compile every source by itself, several at a time, and link them.

        Raises
        ------
        UsageError
            With the compiler's first words, if it refuses a source.
        """
        root = self.folder / self.dialect.name
        sources = [*sorted((root / "src").glob("*.cpp")), root / "tb" / f"{self.name}_tb.cpp"]
        includes = [f"-I{self.folder / 'sim'}", "-isystem", str(self.headers), f"-I{root / 'src'}"]

        def build(source: Path) -> Path:
            made = self.scratch / f"{source.stem}.o"
            self._run([self.compiler, *flags, *includes, "-c", str(source), "-o", str(made)], source)
            return made

        done = 0
        objects = []
        with ThreadPoolExecutor(jobs or len(os.sched_getaffinity(0))) as pool:
            try:
                for made in pool.map(build, sources):
                    objects.append(str(made))
                    done += 1
                    if progress is not None:
                        progress(self.dialect.name, done, len(sources))
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        program = self.scratch / "tb"
        self._run([self.compiler, *objects, "-o", str(program)], root)
        return program

    def run(
        self, program: Path, vectors: Path, out: Path | None = None, *, traced: int | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run the testbench, with as much stack as there is: frames are local arrays.

        Parameters
        ----------
        vectors
            Folder of stimuli and expected codes.
        out
            Folder for what comes out; None: nothing is written.
        traced
            Frames of which all values are written, where these are compiled in; default: all.
        """
        words = [str(program), str(vectors.resolve())]
        if out is not None:
            out.mkdir()
            words += [str(out)] if traced is None else [str(out), str(traced)]

        def deepen() -> None:
            _, hard = resource.getrlimit(resource.RLIMIT_STACK)
            resource.setrlimit(resource.RLIMIT_STACK, (hard, hard))

        return subprocess.run(
            words,
            capture_output=True,
            text=True,
            errors="replace",
            cwd=self.scratch,
            preexec_fn=deepen,
            check=False,
        )

    def _run(self, command: list[str], where: Path) -> None:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode:
            said = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr.strip()[:500])
            raise UsageError(f"cosim: {where}: must compile, and g++ says: {said}; emit the project again")
