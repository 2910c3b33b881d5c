"""Save a model that an exporter made, with what its framework computed, once onnxruntime agrees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime

Arrays = dict[str, np.ndarray]
FOLDER = Path(__file__).resolve().parent / "exported"
TOLERANCE = 1e-5


def save(name: str, model: onnx.ModelProto, inputs: Arrays, outputs: Arrays) -> None:
    """Write ``exported/NAME.onnx`` and ``exported/NAME.npz`` (arrays ``input.X`` and ``output.Y``).

    Parameters
    ----------
    name
        File name without its ending.
    model
        As the exporter left it, but for stack traces, which name folders of the machine that it ran on.
    inputs, outputs
        Arrays by the names that the model gives them, samples first. The outputs are the framework's own.
    """
    for node in [*model.graph.node, *(node for function in model.functions for node in function.node)]:
        kept = [entry for entry in node.metadata_props if entry.key != "pkg.torch.onnx.stack_trace"]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)
    onnx.checker.check_model(model)

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    # A model of batch one takes its samples one by one.
    samples = len(next(iter(inputs.values())))
    single = session.get_inputs()[0].shape[0] == 1
    rows = [slice(i, i + 1) for i in range(samples)] if single else [slice(None)]
    worst = 0.0
    for key, expected in outputs.items():
        got = np.concatenate([session.run([key], {k: v[row] for k, v in inputs.items()})[0] for row in rows])
        if got.shape != expected.shape or got.dtype != expected.dtype:
            shapes = f"{got.dtype} {got.shape} in onnxruntime, {expected.dtype} {expected.shape} in the framework"
            raise SystemExit(f"{name}: {key} is {shapes}")
        worst = max(worst, float(np.abs(got - expected).max()))
    if worst > TOLERANCE:
        raise SystemExit(f"{name}: onnxruntime and the framework differ by {worst:g}")

    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{name}.onnx"
    path.write_bytes(model.SerializeToString())
    arrays = {f"input.{key}": value for key, value in inputs.items()}
    arrays |= {f"output.{key}": value for key, value in outputs.items()}
    np.savez_compressed(path.with_suffix(".npz"), allow_pickle=False, **arrays)
    operators = sorted({node.op_type for node in model.graph.node})
    print(f"{path.name}: {path.stat().st_size} bytes, off by {worst:.0e}: {' '.join(operators)}")
