"""The results as text: a table of operators in Markdown, and the same in short for the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import onnx
from layerwise import SPAN_EXAMPLE
from node_cases import INTEGERS, SEVERAL, NodeRun, Suite
from verdict import FORMAT, LSBS, NORM_STEPS, ROUNDINGS, Verdict

from fxnorm.lowering.operators import LOWERINGS

Results = Sequence[tuple[NodeRun, Verdict]]

INTRODUCTION = """\
# Operators

Made by `make conformance`; do not edit.

fxnorm runs these ONNX operators, of every opset from 6 on. What it does not have is refused by name before anything
runs. The columns of numbers are the node tests that come with onnx {version}, a suite that nobody here wrote: every
floating-point case runs through the simulator in a format of 32 bits (`{format}`, scales that are powers of two,
ranges of the case's own inputs) and is compared with the output that onnx expects.

* **Parameters.** The cases give weights, bounds and shapes as inputs. Here the first floating-point input stays data
  and all else becomes constant. {several} also run with the last
  floating-point input as data and with all of them; {indexed} also with integers as data. So the numbers count runs, of
  which a case may have three.
* **Tolerance.** For every layer that computes, {lsbs:g} LSB (of the output or of the data, the coarser)
  and {roundings:g} times half an ULP of the type in which onnx computed the expectation: of the number itself, or of the
  largest one where several terms are added. A normalization counts {norm} times there (mean, variance, root, quotient).
  Where values are only moved or compared, the LSBs alone. An output whose LSB is coarser than its range or its data
  ask for is wrong too.
* **Integers.** Cases of operators that only move or compare run on the same numbers as float32.

"""

BODIES = """\

## Through their function bodies

onnx defines many operators by others. An operator that fxnorm does not lower itself is expanded when the model is read;
the cases named `*_expanded` are models that hold the body from the start, also of operators that fxnorm does lower.

A value inside a body can span more than the format holds ({example}).
Such an output is counted as *limited* if every layer by itself gives, within the tolerance, what onnx's reference
implementation makes of the same numbers in float64.

"""


def markdown(suite: Suite, results: Results) -> str:
    """The page `docs/operators.md`."""
    own = by_operator((run, verdict) for run, verdict in results if run.lowered)
    rows = []
    for name, operator in sorted(LOWERINGS.items()):
        found = own.get(name, [])
        rows.append(
            (name, operator.kernel, operator.note, *_counts(found, ("passed", "refused", "wrong")), _reasons(found))
        )
    text = INTRODUCTION.format(
        version=onnx.__version__,
        format=FORMAT,
        several=", ".join(sorted(SEVERAL)),
        indexed=" and ".join(sorted(INTEGERS)),
        lsbs=LSBS,
        roundings=ROUNDINGS,
        norm=NORM_STEPS,
    )
    text += _table(("operator", "kernel", "note", "passed", "refused", "wrong", "refused because"), rows)
    everything = [pair for pairs in own.values() for pair in pairs]
    totals = dict(zip(("passed", "refused", "wrong"), _counts(everything, ("passed", "refused", "wrong")), strict=True))
    text += "\nTogether: " + ", ".join(f"{count} {status}" for status, count in totals.items()) + ".\n"
    text += "\nCases of these operators that are no fixed-point computation:\n\n"
    text += "".join(f"* {reason}: {count}\n" for reason, count in suite.left_out.items())
    return text + _bodies(results)


def _bodies(results: Results) -> str:
    statuses = ("passed", "refused", "limited", "wrong")
    bodies = by_operator((run, verdict) for run, verdict in results if not run.lowered)
    reached = {name: pairs for name, pairs in bodies.items() if any(v.status != "refused" for _, v in pairs)}
    rows = [(name, *_counts(pairs, statuses), _reasons(pairs)) for name, pairs in sorted(reached.items())]
    text = BODIES.format(example=SPAN_EXAMPLE)
    text += _table(("operator", *statuses, "refused because"), rows)
    lowered = sorted(name for name in bodies if name in LOWERINGS and name not in reached)
    if lowered:
        text += (
            "\nOperators that fxnorm lowers, but whose bodies hold some that it does not: " + ", ".join(lowered) + ".\n"
        )
    unknown = sorted(name for name in bodies if name not in LOWERINGS and name not in reached)
    text += "\nRefused in every floating-point case: " + ", ".join(unknown) + ".\n"
    return text


def summary(results: Results) -> str:
    """A line an operator, for the terminal."""
    statuses = ("passed", "refused", "limited", "wrong")
    lines = []
    for title, lowered in (("operators", True), ("through their function bodies", False)):
        groups = by_operator((run, verdict) for run, verdict in results if run.lowered is lowered)
        lines.append(f"{title:34s}" + "".join(f"{status:>9s}" for status in statuses))
        for name, pairs in sorted(groups.items()):
            lines.append(f"  {name:32s}" + "".join(f"{count:>9s}" for count in _counts(pairs, statuses)))
        everything = [pair for pairs in groups.values() for pair in pairs]
        lines.append(f"  {'together':32s}" + "".join(f"{count:>9s}" for count in _counts(everything, statuses)))
    return "\n".join(lines)


def by_operator(results: Iterable[tuple[NodeRun, Verdict]]) -> Mapping[str, list[tuple[NodeRun, Verdict]]]:
    """Results by the operator that they test."""
    groups: dict[str, list[tuple[NodeRun, Verdict]]] = {}
    for run, verdict in results:
        groups.setdefault(run.operator, []).append((run, verdict))
    return groups


def _counts(pairs: Results, statuses: Sequence[str]) -> list[str]:
    counts = Counter(verdict.status for _, verdict in pairs)
    return [str(counts[status]) for status in statuses]


def _reasons(pairs: Results) -> str:
    reasons = {line for _, verdict in pairs if verdict.status == "refused" for line in verdict.detail.splitlines()}
    return "; ".join(sorted(reasons))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---:" if word in {"passed", "refused", "limited", "wrong"} else "---" for word in head], *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)
