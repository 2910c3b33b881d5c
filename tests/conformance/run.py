"""Run the node tests that come with onnx through the simulator: `make conformance`."""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path

import onnx
from node_cases import load_suite
from operator_table import markdown, summary
from verdict import judge


def main() -> int:
    """Print passed, refused and wrong per operator; 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", type=Path, help="write the table of operators to this file")
    parser.add_argument(
        "--only", default="", help="run only the cases whose names hold this text, and say what became of each"
    )
    arguments = parser.parse_args()
    if arguments.table and arguments.only:
        parser.error("--table needs every case: leave --only out")
    warnings.simplefilter("ignore")  # of onnx's reference implementation, about numbers that overflow
    suite = load_suite()
    runs = [run for run in suite.runs if arguments.only in run.name]
    results = []
    for number, run in enumerate(runs, start=1):
        if sys.stderr.isatty():
            print(f"\r{number}/{len(runs)}", end="", file=sys.stderr)
        results.append((run, judge(run)))
        if arguments.only:
            print(f"{run.name}: {results[-1][1].status} {results[-1][1].detail}")
    if sys.stderr.isatty():
        print("\r", end="", file=sys.stderr)
    print(f"node tests of onnx {onnx.__version__}\n\n{summary(results)}")
    wrong = [(run, verdict) for run, verdict in results if verdict.status == "wrong"]
    unnamed = [run.name for run, verdict in results if verdict.status == "refused" and not verdict.detail.strip()]
    for run, verdict in wrong:
        print(f"wrong: {run.name}: {verdict.detail}")
    for name in unnamed:
        print(f"refused without a reason: {name}")
    if arguments.table:
        arguments.table.parent.mkdir(parents=True, exist_ok=True)
        arguments.table.write_text(markdown(suite, results), encoding="utf-8")
    return 1 if wrong or unnamed else 0


if __name__ == "__main__":
    sys.exit(main())
