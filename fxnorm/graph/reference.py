"""The FP32 reference: what the model itself computes, with every intermediate value at hand.

onnxruntime runs the imported model; where it lacks an operator, onnx's reference implementation does. Models that leave their batch
free take all samples in one run, once two samples together have been seen to give what each gives alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from fxnorm.errors import DataError, ModelError, UsageError
from fxnorm.graph.model_file import first_line
from fxnorm.graph.runnable import model_proto

if TYPE_CHECKING:
    import onnx

    from fxnorm.graph.graph import Graph

Arrays = dict[str, np.ndarray]

TOGETHER_RTOL: Final = 1e-4
TOGETHER_ATOL: Final = 1e-5
"""Tolerance, relative to the largest value of a tensor, within which samples run together must agree with samples run alone."""


class Reference:
    """The model in float32.

    Parameters
    ----------
    graph
        The imported model.
    values
        Names of the values to return; default: the model's outputs. Inputs and constants may be among them.
    threads
        Threads within one operator.

    Attributes
    ----------
    engine
        ``"onnxruntime"`` or ``"onnx.reference"``.
    together
        Whether samples run together: None until the first two different samples have been compared.

    Raises
    ------
    UsageError
        If the graph has no value of a name.
    ModelError
        If neither engine can run the model.
    """

    def __init__(self, graph: Graph, values: Sequence[str] | None = None, *, threads: int = 2) -> None:
        self.graph = graph
        self.values = tuple(dict.fromkeys(graph.outputs if values is None else values))
        for name in self.values:
            if name not in graph.values:
                raise UsageError(f"value {name!r}: the model has no such value; `fxnorm inspect` lists them")
        computed = [name for name in self.values if name not in graph.inputs and name not in graph.constants]
        self._computed = tuple(computed)
        self.together: bool | None = None if graph.free_batch else False
        self.engine = "onnxruntime"
        self._session: Any = None
        if computed:
            self._start(threads)

    def run(self, inputs: Mapping[str, np.ndarray]) -> Arrays:
        """Compute the values for some samples.

        Parameters
        ----------
        inputs
            An array ``[S, *graph.shape(name)]`` for every input of the graph, each sample a full batch of the model.

        Returns
        -------
        dict
            For every value asked for, an array ``[S, *graph.shape(name)]``.

        Raises
        ------
        DataError
            If an input is missing or has another shape.
        ModelError
            If the engine cannot run the model on this input.
        """
        feeds = self._feeds(inputs)
        samples = len(next(iter(feeds.values())))
        results = self._compute(feeds, samples) if self._computed else {}
        for name in self.values:
            if name in feeds:
                results[name] = feeds[name]
            elif name in self.graph.constants:
                constant = self.graph.constants[name]
                results[name] = np.broadcast_to(constant, (samples, *constant.shape))
        return {name: results[name] for name in self.values}

    def _start(self, threads: int) -> None:
        proto, large = model_proto(self.graph, self._computed)
        try:
            self._session = _ort_session(proto, large, threads)
        except Exception as error:  # onnxruntime's exceptions share no base class
            reason = first_line(error)
        else:
            return
        from onnx.reference import ReferenceEvaluator

        self.engine = "onnx.reference"
        proto, _ = model_proto(self.graph, self._computed, inline_limit=None)
        try:
            self._session = ReferenceEvaluator(proto)
        except Exception as error:
            raise ModelError(
                f"reference: neither onnxruntime ({reason}) nor onnx's reference implementation ({first_line(error)}) runs this model"
            ) from error

    def _feeds(self, inputs: Mapping[str, np.ndarray]) -> Arrays:
        feeds: Arrays = {}
        for name in self.graph.inputs:
            value = self.graph.values[name]
            if name not in inputs:
                raise DataError(f"input {name!r}: must be given, but only {', '.join(inputs) or 'nothing'} is")
            array = np.asarray(inputs[name])
            if array.ndim == 0 or array.shape[1:] != value.shape:
                raise DataError(
                    f"input {name!r}: must have the shape samples × {list(value.shape)}, not {list(array.shape)}"
                )
            with np.errstate(over="ignore"):
                feeds[name] = np.ascontiguousarray(array, dtype=value.dtype)
        counts = {len(array) for array in feeds.values()}
        if len(counts) != 1 or counts == {0}:
            raise DataError(f"inputs: must have the same number of samples, at least one, not {sorted(counts)}")
        return feeds

    def _compute(self, feeds: Arrays, samples: int) -> Arrays:
        if samples > 1 and self.together is None:
            self._compare(feeds, samples)
        if samples > 1 and self.together:
            merged = self._run_together(feeds)
            if merged is not None:
                return merged
            self.together = False
        results: dict[str, list[np.ndarray]] = {name: [] for name in self._computed}
        for index in range(samples):
            for name, array in self._run_one({name: array[index, ...] for name, array in feeds.items()}).items():
                results[name].append(array)
        return {name: np.stack(arrays) for name, arrays in results.items()}

    def _compare(self, feeds: Arrays, samples: int) -> None:
        """Run two different samples together and alone; decide whether samples may run together."""
        second = next(
            (i for i in range(1, samples) if any(not np.array_equal(array[0], array[i]) for array in feeds.values())),
            None,
        )
        pair = {name: array[[0, second or 1]] for name, array in feeds.items()}
        merged = self._run_together(pair)
        agreed = merged is not None
        for index in range(2):
            alone = self._run_one({name: array[index, ...] for name, array in pair.items()})
            agreed = (
                agreed
                and merged is not None
                and all(_close(merged[name][index], alone[name]) for name in self._computed)
            )
        if not agreed:
            self.together = False
        elif second is not None:
            self.together = True

    def _run_one(self, feeds: Arrays) -> Arrays:
        try:
            arrays = self._session.run(list(self._computed), feeds)
        except Exception as error:
            raise ModelError(f"reference: {self.engine} cannot run this model: {first_line(error)}") from error
        results = {name: np.asarray(array) for name, array in zip(self._computed, arrays, strict=True)}
        for name, array in results.items():
            if array.shape != self.graph.shape(name):
                raise ModelError(
                    f"reference: value {name!r} must have the shape {list(self.graph.shape(name))}, but {self.engine} gives "
                    f"{list(array.shape)}"
                )
        return results

    def _run_together(self, feeds: Arrays) -> Arrays | None:
        """All samples in one run, or None where the model cannot take them."""
        samples = len(next(iter(feeds.values())))
        merged = {name: array.reshape(samples * array.shape[1], *array.shape[2:]) for name, array in feeds.items()}
        try:
            arrays = self._session.run(list(self._computed), merged)
        except Exception:  # whatever the reason, samples then run one by one, where it is reported
            return None
        results = {}
        for name, found in zip(self._computed, arrays, strict=True):
            shape, array = self.graph.shape(name), np.asarray(found)
            if not shape or array.shape != (samples * shape[0], *shape[1:]):
                return None
            results[name] = array.reshape(samples, *shape)
        return results


def evaluate(graph: Graph, samples: Mapping[str, np.ndarray], values: Sequence[str] | None = None) -> Arrays:
    """Compute values of the FP32 model once; see `Reference.run` for shapes and errors."""
    return Reference(graph, values).run(samples)


def _ort_session(proto: onnx.ModelProto, large: Arrays, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.disable_quant_qdq", "1")  # quantized operators would not be float32
    if large:
        options.add_external_initializers(
            list(large), [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in large.values()]
        )
    return onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _close(found: np.ndarray, expected: np.ndarray) -> bool:
    if found.dtype.kind != "f":
        return bool(np.array_equal(found, expected))
    scale = float(np.max(np.abs(expected), initial=0.0, where=np.isfinite(expected)))
    return bool(np.allclose(found, expected, rtol=TOGETHER_RTOL, atol=TOGETHER_ATOL * scale, equal_nan=True))
