"""Real models: the four of MLPerf Tiny, the nine architectures inside the onnx package, and the examples trained here."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from commandline import command, read_json, run

import fxnorm as fx
from fxnorm.graph.graph import Graph
from fxnorm.metrics import Error

Array = np.ndarray

ROOT = Path(__file__).resolve().parents[1]
MODELS = ROOT.parent / "shared" / "models"
LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
FORMATS = ("q5.3", "q8.8", "q16.16")

needs_models = pytest.mark.skipif(not MODELS.is_dir(), reason=f"the real models are not at {MODELS}")


@dataclass(frozen=True)
class Model:
    """A model, and what its inputs are: the shape of one sample, the range of its numbers."""

    shape: tuple[int, ...]
    low: float
    high: float
    samples: int

    def data(self) -> Array:
        return np.random.default_rng(0).uniform(self.low, self.high, (self.samples, *self.shape)).astype(np.float32)


RANDOM = {
    "resnet8": Model((32, 32, 3), 0, 255, 16),
    "dscnn": Model((49, 10, 1), -120, 30, 32),
    "ad_autoencoder": Model((640,), -80, 0, 32),
}


def inputs(name: str) -> Array:
    if name == "sww":
        with np.load(MODELS / "sww_samples.npz") as saved:
            return np.asarray(saved["input_1"])
    return RANDOM[name].data()


@cache
def imported(name: str) -> tuple[Graph, Any, dict[str, Array]]:
    """Graph, calibration and FP32 outputs of a model on its samples."""
    graph = fx.load(MODELS / f"{name}.onnx")
    x = inputs(name)
    return graph, fx.calibrate(graph, x, histograms=False), fx.reference(graph, x)


def outcome(name: str, format_: str, normalize: str) -> Error:
    graph, ranges, reference = imported(name)
    plan = fx.plan(graph, ranges, format=format_, normalize=normalize)
    (error,) = fx.compare(reference, fx.simulate(plan, inputs(name))).values()
    return error


@needs_models
@pytest.mark.parametrize("name", ["sww", *RANDOM])
def test_real_models(name: str) -> None:
    found = {(text, how): outcome(name, text, how) for text in FORMATS for how in ("none", "pow2")}
    for (text, how), error in found.items():
        agreement = error.argmax_agreement
        print(f"{name} {text} {how}: SQNR {error.sqnr_db:.1f} dB, arg-max agrees in {agreement:.1%}")
    assert found["q16.16", "pow2"].sqnr_db > 60
    assert found["q5.3", "pow2"].sqnr_db > found["q5.3", "none"].sqnr_db + 3
    assert found["q5.3", "pow2"].sqnr_db > 15
    assert found["q8.8", "pow2"].sqnr_db > found["q5.3", "pow2"].sqnr_db + 30
    assert found["q16.16", "pow2"].sqnr_db > found["q8.8", "pow2"].sqnr_db


@needs_models
def test_the_wake_word_is_recognized_as_before() -> None:
    model, data = MODELS / "sww.onnx", MODELS / "sww_samples.npz"
    right = {}
    for how in ("none", "pow2"):
        ran = run("simulate", model, "--format", "q5.3", "--normalize", how, "--data", data, "--json", "-")
        assert ran.code == 0
        accuracy = ran.json["accuracy"]
        right[how] = {who: round(share * 45) for who, share in accuracy.items()}
        print(f"sww q5.3 {how}: right of 45: {right[how]}")
        assert right[how]["fp32"] == 41  # 91.1 %, as published
    assert abs(right["pow2"]["fixed"] - right["pow2"]["fp32"]) <= 1


@pytest.mark.parametrize(
    "name", ["dense", "conv", "groupnorm", "instancenorm", pytest.param("vit", marks=pytest.mark.slow)]
)
def test_the_examples_keep_their_accuracy_when_they_are_normalized(name: str) -> None:
    model = ROOT / "examples" / f"digits_{name}.onnx"
    data = ROOT / "examples" / f"digits_{'dense' if name == 'dense' else 'conv'}_test.npz"
    accuracy = {}
    for how in ("none", "pow2"):
        ran = run("simulate", model, "--format", "q5.3", "--normalize", how, "--data", data, "--json", "-")
        assert ran.code == 0
        assert ran.json["samples"] == 450
        accuracy[how] = ran.json["accuracy"]
        print(f"digits_{name} q5.3 {how}: {accuracy[how]}")
    assert accuracy["pow2"]["fp32"] > 0.95
    assert abs(accuracy["pow2"]["fixed"] - accuracy["pow2"]["fp32"]) <= 0.01
    assert accuracy["none"]["fixed"] < accuracy["pow2"]["fixed"] - 0.05


def light(name: str) -> None:
    """Structure alone is real here, weights are constant: every layer must follow FP32 as closely as 16 bits can."""
    ran = run("simulate", LIGHT / f"light_{name}.onnx", "--format", "q8.8", "--samples", "1", "--json", "-")
    assert ran.code == 0, ran.err
    for layer in ran.json["layers"]:
        assert layer["overflow_count"] == 0, layer["name"]
        if layer["sqnr_db"] is None:
            assert layer["max_abs_error"] in (0.0, None), layer["name"]
        else:
            assert layer["sqnr_db"] > 45, layer["name"]
    (output,) = ran.json["outputs"].values()
    assert output["sqnr_db"] > 60
    assert output["cosine"] > 0.9999


def test_light_squeezenet() -> None:
    light("squeezenet")


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["bvlc_alexnet", "densenet121", "inception_v1", "inception_v2", "resnet50", "shufflenet", "vgg19", "zfnet512"],
)
def test_light_architectures(name: str) -> None:
    light(name)


def test_all_light_architectures_are_tried() -> None:
    assert len(list(LIGHT.glob("light_*.onnx"))) == 9


# Memory

CHILD = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, check=True)
sys.stdout.buffer.write(done.stdout)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024, file=sys.stderr)
"""


def peak_memory(samples: int, *options: object) -> int:
    """Bytes that a process held at its peak while it ran random images through resnet8."""
    import subprocess

    words = command(
        "simulate", MODELS / "resnet8.onnx", "--format", "q5.3", "--samples", samples, "--json", "-", *options
    )
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *words], capture_output=True, text=True, timeout=550, check=True
    )
    assert read_json(done.stdout)["samples"] == samples
    return int(done.stderr.split()[-1])


@needs_models
@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_samples(tmp_path: Path) -> None:
    thousand, four_thousand = peak_memory(1000), peak_memory(4000)
    print(f"peak of 1,000 images: {thousand / 1e6:.0f} MB, of 4,000: {four_thousand / 1e6:.0f} MB")
    assert thousand < 1_000_000_000
    assert four_thousand < thousand * 1.1
    saving = peak_memory(1000, "--trace", tmp_path / "trace.npz")
    print(f"peak of 1,000 images with a trace: {saving / 1e6:.0f} MB")
    assert saving < thousand * 1.25
