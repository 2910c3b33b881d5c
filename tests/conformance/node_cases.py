"""The node tests that come with onnx, as models for the simulator.

A node test is a model of one operator (or, named `*_expanded`, of the operators by which onnx defines one), inputs and the outputs that
are expected. Its parameters (weights, bounds, shapes) are inputs of the model; here they become constants, as in a network:

* the first floating-point input stays data, everything else becomes a constant;
* operators of several data inputs (`SEVERAL`) also run with the last floating-point input as data, and with all of them;
* those whose data may be integers (`INTEGERS`) also run with these as data.

Integer cases of operators that only move or compare run too, on the same numbers as float32: their results are the same numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from fxnorm.lowering.operators import LOWERINGS

Array = np.ndarray

# Operators whose floating-point inputs may all be computed.
SEVERAL = frozenset(
    {"Add", "Concat", "Div", "Gemm", "MatMul", "Max", "Mean", "Min", "Mul", "PRelu", "Sub", "Sum", "Where"}
)
# Operators with an input of integers that may be computed: what is looked up, what becomes floating point.
INTEGERS = {"Cast": 0, "Gather": 1}
# Operators every result of which is one of their inputs, or a constant of theirs.
CHOOSING = frozenset({"Clip", "Max", "MaxPool", "Min", "Where"}) | {
    name for name, operator in LOWERINGS.items() if operator.kernel in {"movement", "concat"}
}
FLOAT = onnx.TensorProto.FLOAT
EXACT = 1 << 24


@dataclass(frozen=True)
class NodeRun:
    """One run of one case.

    Attributes
    ----------
    name
        The case's name, and in brackets which inputs are data where there is a choice.
    operator
        ONNX operator that the case tests.
    expanded
        Whether the model holds the body by which onnx defines the operator, not the operator itself.
    model
        The model, its parameters constant.
    data
        Inputs by name.
    expected
        Floating-point outputs by name, as onnx has them.
    """

    name: str
    operator: str
    expanded: bool
    model: onnx.ModelProto
    data: Mapping[str, Array]
    expected: Mapping[str, Array]

    @property
    def lowered(self) -> bool:
        """Whether the model is one operator that fxnorm lowers itself."""
        return not self.expanded and self.operator in LOWERINGS


@dataclass(frozen=True)
class Suite:
    """All node tests of the installed onnx.

    Attributes
    ----------
    runs
        What can be run.
    left_out
        How many cases of operators that fxnorm lowers cannot, by reason.
    """

    runs: tuple[NodeRun, ...]
    left_out: Mapping[str, int]

    def of(self, operator: str) -> list[NodeRun]:
        """Runs of an operator by its own lowering."""
        return [run for run in self.runs if run.lowered and run.operator == operator]


def load_suite() -> Suite:
    """Read the cases; they are computed by the installed onnx."""
    import warnings

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # what the generators of the cases do is their own business
        from onnx.backend.test.loader import load_model_tests

        cases = load_model_tests(kind="node")
    own = {case.name: case.model.graph.node[0].op_type for case in cases if len(case.model.graph.node) == 1}
    runs: list[NodeRun] = []
    left_out: Counter[str] = Counter()
    for case in cases:
        base, mark, _ = case.name.partition("_expanded")
        operator = own.get(base, own.get(case.name))
        if operator is None:
            continue
        inputs, outputs = (list(map(_array, values)) for values in case.data_sets[0])
        reason = _out_of_scope(case.model, operator, inputs, outputs)
        if reason is None:
            runs += _runs(case.name, operator, bool(mark), case.model, inputs, outputs)
        elif operator in LOWERINGS:
            left_out[reason] += 1
    return Suite(tuple(runs), dict(sorted(left_out.items())))


def is_float(array: Any) -> bool:
    """Whether something is a floating-point tensor, bfloat16 included."""
    return isinstance(array, np.ndarray | np.generic) and (array.dtype.kind == "f" or array.dtype.name == "bfloat16")


def _array(value: Any) -> Any:
    return numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value


def is_integer(array: Any) -> bool:
    """Whether something is a tensor of integers, those of 2 and 4 bits included."""
    return isinstance(array, np.ndarray | np.generic) and (
        array.dtype.kind in "iu" or array.dtype.name in {"int2", "int4", "uint2", "uint4"}
    )


def _out_of_scope(model: onnx.ModelProto, operator: str, inputs: list[Any], outputs: list[Any]) -> str | None:
    """Why a case cannot be a fixed-point computation; None where it can."""
    arrays = [*inputs, *outputs]
    if not all(isinstance(array, np.ndarray | np.generic) for array in arrays):
        return "not a float case: sequences and optional values"
    if any(array.dtype.kind in "OSU" for array in arrays):
        return "not a float case: strings"
    source = inputs[INTEGERS[operator]] if operator in INTEGERS else None
    floats = any(map(is_float, outputs)) and (any(map(is_float, inputs)) or is_integer(source))
    if not floats and not (operator in CHOOSING and _retypable(model, inputs, outputs)):
        return "not a float case: integers, booleans or floats of 8 bits and fewer, in or out"
    judged = [*list(filter(is_float, inputs))[:1], *filter(is_float, outputs)]
    if not all(np.all(np.isfinite(array.astype(np.float64))) for array in judged):
        return "the data or the expected output is not finite"
    return None


def _runs(
    name: str, operator: str, expanded: bool, source: onnx.ModelProto, inputs: list[Any], outputs: list[Any]
) -> Iterator[NodeRun]:
    model = onnx.ModelProto()
    model.CopyFrom(source)
    retyped = not any(map(is_float, (*inputs, *outputs)))
    if retyped:
        _retype(model, inputs, outputs)
    names = [value.name for value in model.graph.input]
    given = dict(zip(names, inputs, strict=True))
    expected = {
        value.name: np.asarray(array)
        for value, array in zip(model.graph.output, outputs, strict=True)
        if is_float(array)
    }
    floats = [key for key, array in zip(names, inputs, strict=True) if is_float(array)]
    whole = [key for key in names[INTEGERS.get(operator, len(names)) :][:1] if is_integer(given[key])]
    choices = {"": floats[:1]} if floats else {}
    if operator in SEVERAL and len(floats) > 1:
        choices = {"[all]": floats} if retyped else {"[first]": floats[:1], "[last]": floats[-1:], "[all]": floats}
    if whole:
        choices["[integers]"] = whole
    for suffix, data in choices.items():
        yield NodeRun(
            name + suffix,
            operator,
            expanded,
            _with_constants(model, given, data),
            {key: np.asarray(given[key]) for key in data},
            expected,
        )


def _with_constants(model: onnx.ModelProto, given: Mapping[str, Any], data: Iterable[str]) -> onnx.ModelProto:
    """The model with everything but its data as initializers."""
    kept = set(data)
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    del changed.graph.input[:]
    for value in model.graph.input:
        if value.name in kept:
            changed.graph.input.append(value)
        else:
            changed.graph.initializer.append(numpy_helper.from_array(np.asarray(given[value.name]), value.name))
    changed.ir_version = max(changed.ir_version, 4)  # before, every initializer was an input too
    return changed


def _places(model: onnx.ModelProto) -> tuple[list[int], list[int]]:
    """Inputs and outputs of a model of one node that have the type of its first output; none where that may not be float32."""
    (node,) = model.graph.node
    schema = onnx.defs.get_schema(node.op_type, model.opset_import[0].version, node.domain)
    letter = schema.outputs[0].type_str
    allowed = next((limit.allowed_type_strs for limit in schema.type_constraints if limit.type_param_str == letter), ())
    if "tensor(float)" not in allowed:
        return [], []

    def alike(parameters: Any, names: Any) -> list[int]:
        letters = [parameters[min(index, len(parameters) - 1)].type_str for index, name in enumerate(names) if name]
        return [index for index, other in enumerate(letters) if other == letter]

    return alike(schema.inputs, node.input), alike(schema.outputs, node.output)


def _retypable(model: onnx.ModelProto, inputs: list[Any], outputs: list[Any]) -> bool:
    if len(model.graph.node) != 1:
        return False
    sources, results = _places(model)
    arrays = [inputs[index] for index in sources] + [outputs[index] for index in results]
    small = all(array.dtype.kind in "iu" and bool(np.all(np.abs(array.astype(object)) <= EXACT)) for array in arrays)
    return bool(sources) and small


def _retype(model: onnx.ModelProto, inputs: list[Any], outputs: list[Any]) -> None:
    """Make float32 of the integers that a node moves or compares."""
    sources, results = _places(model)
    for values, arrays, places in ((model.graph.input, inputs, sources), (model.graph.output, outputs, results)):
        for index in places:
            arrays[index] = arrays[index].astype(np.float32)
            values[index].CopyFrom(helper.make_tensor_value_info(values[index].name, FLOAT, arrays[index].shape))
