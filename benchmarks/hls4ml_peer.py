"""hls4ml from an ONNX file to results, run by the interpreter of `.venv-bench`: prints seconds of convert, compile and predict as JSON.

`python hls4ml_peer.py MODEL IMAGES RUNS FOLDER`; every run takes another format, as someone does who looks for one.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from pathlib import Path

import hls4ml
import numpy as np
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.channels_last import ConvertToChannelsLastAndClean
from qonnx.transformation.gemm_to_matmul import GemmToMatMul
from qonnx.util.cleanup import cleanup_model


def main() -> None:
    """Measure and print."""
    path, images, runs, folder = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    found = []
    # Whatever is printed on the way does not belong to the answer.
    with contextlib.redirect_stdout(sys.stderr):
        model = cleanup_model(ModelWrapper(path))
        model = model.transform(ConvertToChannelsLastAndClean())
        model = cleanup_model(model.transform(GemmToMatMul()))
        samples = np.random.default_rng(0).uniform(0, 255, (images, 32, 32, 3)).astype(np.float32)
        for run in range(runs):
            found.append(_run(model, samples, f"ap_fixed<{8 + run},5>", folder / str(run)))
    print(json.dumps(found))


def _run(model: ModelWrapper, samples: np.ndarray, precision: str, folder: Path) -> dict[str, float]:
    begun = time.perf_counter()
    config = hls4ml.utils.config_from_onnx_model(
        model, granularity="name", default_precision=precision, backend="Vitis"
    )
    config["Model"]["Strategy"] = "Resource"
    made = hls4ml.converters.convert_from_onnx_model(
        model, hls_config=config, output_dir=str(folder), io_type="io_stream", backend="Vitis"
    )
    converted = time.perf_counter()
    made.compile()
    compiled = time.perf_counter()
    made.predict(samples)
    return {
        "convert": converted - begun,
        "compile": compiled - converted,
        "predict": time.perf_counter() - compiled,
    }


if __name__ == "__main__":
    main()
