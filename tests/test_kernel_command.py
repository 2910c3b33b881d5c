"""`fxnorm kernel`: a project of one block for every kind, and what is refused by name."""

from __future__ import annotations

import importlib.util
import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from commandline import run

from fxnorm.hls.build import FLAGS, find_headers
from fxnorm.hls.cosim import cosim
from fxnorm.hls.dialect import DIALECTS
from fxnorm.hls.static_check import check
from fxnorm.hls.stored import StoredProject
from fxnorm.lone_kernels import FUNCTIONS, LONE_KERNELS

KINDS = {
    "dense": ("--inputs", 5, "--outputs", 3),
    "conv": ("--channels", 2, "--filters", 4, "--kernel", "3x2", "--size", "6x5", "--padding", "1x0", "--groups", 2),
    "batchnorm": ("--channels", 3, "--size", "4x4"),
    "layernorm": ("--length", 12),
    "rmsnorm": ("--length", 12, "--rows", 3),
    "groupnorm": ("--channels", 4, "--groups", 2, "--size", 5),
    "instancenorm": ("--channels", 2, "--size", "3x3"),
}


def words(kind: str, folder: Path, *more: object) -> tuple[object, ...]:
    sizes = KINDS.get(kind, ("--length", 6))
    return ("kernel", kind, *sizes, "--format", "q5.3", "-o", folder, "--frames", 3, *more)


@pytest.mark.parametrize("kind", LONE_KERNELS)
def test_every_kind(kind: str, tmp_path: Path) -> None:
    """One block, both targets, ports of the very format that was asked for."""
    done = run(*words(kind, tmp_path / "lone", "--json", "-"))
    assert done.code == 0, done.err
    record = done.json
    assert (len(record["layers"]), record["frames"], record["targets"]) == (1, 3, ["vitis", "catapult"])
    assert record["estimates"]["latency"] > 0
    manifest = json.loads((tmp_path / "lone/manifest.json").read_text())
    assert manifest["estimates"] == record["estimates"]
    assert [(value["format"], value["scale"]) for value in manifest["values"]] == [("q5.3", 1.0)] * 2
    plan = StoredProject.read(tmp_path / "lone").plan
    assert [type(layer.kernel).kind for layer in plan.layers] == [layer["kernel"] for layer in manifest["layers"]]


def test_sizes_reach_the_block(tmp_path: Path) -> None:
    made = words(
        "conv", tmp_path / "lone", "--stride", 2, "--dilation", "2x1", "--input-format", "uq2.6", "--target", "vitis"
    )
    assert run(*made).code == 0
    manifest = json.loads((tmp_path / "lone/manifest.json").read_text())
    x, y = manifest["values"]
    assert (x["format"], x["shape"]) == ("uq2.6", [1, 2, 6, 5])
    # (6 + 2 − 2·(3 − 1) − 1) // 2 + 1 rows, (5 − (2 − 1) − 1) // 2 + 1 columns.
    assert (y["format"], y["shape"]) == ("q5.3", [1, 4, 2, 2])


def test_parameters_and_samples_of_files(tmp_path: Path) -> None:
    """A dense layer whose every code can be told by hand."""
    weight, bias = np.array([[1, -2, 0.5], [0, 0.25, 3]]), np.array([0.5, -1])
    x = np.array([[[1, 2, 4]], [[-8, 0.125, 1]]])
    np.savez(tmp_path / "weights.npz", weight=weight, bias=bias)
    np.save(tmp_path / "x.npy", x.astype(np.float32))
    done = run(
        *("kernel", "dense", "--inputs", 3, "--outputs", 2, "--format", "q5.3", "--weight-format", "q4.4"),
        *("--weights", tmp_path / "weights.npz", "--data", tmp_path / "x.npy", "-o", tmp_path / "lone"),
    )
    assert done.code == 0, done.err
    assert "drawn" not in done.out
    assert "testbench: 2 frames" in done.out
    codes = np.loadtxt(tmp_path / "lone/vectors/out0.txt", dtype=int)
    values = np.clip(np.floor((x[:, 0] @ weight.T + bias) * 8 + 0.5), -128, 127)
    assert codes.tolist() == values.astype(int).tolist()


def test_seeds_decide_what_is_drawn(tmp_path: Path) -> None:
    def files(*more: object) -> list[bytes]:
        assert run(*words("dense", tmp_path / "lone", *more)).code == 0
        return [path.read_bytes() for path in sorted((tmp_path / "lone").rglob("*")) if path.is_file()]

    assert files() == files("--seed", 0)
    assert files() != files("--seed", 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nothing", "--length", 4), "kernel: KIND must be one of dense, conv"),
        (("softmax",), "--length: kernel softmax needs it; it takes --length, --rows"),
        (("softmax", "--length", 4, "--filters", 2), "--filters: is no option of kernel softmax"),
        (("softmax", "--length", 0), "--length: must be a positive integer, not '0'"),
        (("softmax", "--length", "4x4"), "--length: must be a positive integer"),
        (("softmax", "--length", "٣"), "--length: must be a positive integer"),
        (("softmax", "--length", 4, "--accumulator", "q8.8"), "--accumulator: kernel softmax has nothing"),
        (
            ("dense", "--inputs", 2, "--outputs", 2, "--norm-algorithm", "exact"),
            "--norm-algorithm: kernel dense has nothing",
        ),
        (("softmax", "--length", 4, "--weights", "w.npz"), "--weights: kernel softmax has none"),
        (("rescale", "--length", 4, "--scale", "nan"), "--scale: must be a number, not 'nan'"),
        (("groupnorm", "--channels", 4, "--groups", 3), "--groups: must divide --channels 4, and 3 does not"),
        (
            ("conv", "--channels", 4, "--filters", 4, "--kernel", 3, "--size", "8x8", "--groups", 3),
            "--groups: must divide --channels 4 and --filters 4",
        ),
        (
            ("conv", "--channels", 1, "--filters", 1, "--kernel", "3x3", "--size", 8),
            "--kernel: must be one number, or as many as --size has (1), not 2",
        ),
        (
            ("conv", "--channels", 1, "--filters", 1, "--kernel", 3, "--size", "8x2"),
            "--size: with its padding it must be no smaller than the kernel, and 2 + 2·0 is below 3",
        ),
        (
            ("conv", "--channels", 1, "--filters", 1, "--kernel", 3, "--size", "8x8", "--padding", "-1"),
            "--padding: must be",
        ),
        (("layernorm", "--length", 4, "--epsilon", "small"), "--epsilon: must be a number"),
    ],
    ids=lambda entry: " ".join(map(str, entry)) if isinstance(entry, tuple) else "",
)
def test_what_is_refused(arguments: tuple[object, ...], message: str, tmp_path: Path) -> None:
    done = run("kernel", *arguments, "--format", "q5.3", "-o", tmp_path / "lone")
    assert done.code == 2
    assert message in done.message
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"weight": np.ones((2, 3))}, "must hold an array bias of the shape [2]"),
        (
            {"weight": np.ones((3, 2)), "bias": np.ones(2)},
            "weight must hold numbers in the shape [2, 3], not float64 in [3, 2]",
        ),
        ({"weight": np.array([["a"] * 3] * 2), "bias": np.ones(2)}, "weight must hold numbers"),
        (
            {"weight": np.ones((2, 3)), "bias": np.ones(2), "more": np.ones(1)},
            "takes the arrays weight, bias, and no more",
        ),
        (None, "must be an .npz of arrays"),
    ],
)
def test_weights_that_do_not_fit(arrays: dict[str, np.ndarray] | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.npz"
    if arrays is None:
        path.write_text("no archive")
    else:
        np.savez(path, **arrays)  # type: ignore[arg-type]
    done = run(
        "kernel",
        "dense",
        "--inputs",
        3,
        "--outputs",
        2,
        "--format",
        "q5.3",
        "--weights",
        path,
        "-o",
        tmp_path / "lone",
    )
    assert done.code == 2
    assert message in done.message
    assert not (tmp_path / "lone").exists()


def test_a_format_is_needed_and_names_are_checked(tmp_path: Path) -> None:
    done = run("kernel", "softmax", "--length", 4, "-o", tmp_path / "lone")
    assert (done.code, "--format: is missing" in done.message) == (2, True)
    done = run("kernel", "softmax", "--length", 4, "--format", "q5.3", "-o", tmp_path / "while")
    assert (done.code, "must not be a word of C++" in done.message) == (2, True)


@pytest.mark.slow
@pytest.mark.skipif(
    shutil.which("g++") is None or importlib.util.find_spec("hls4ml") is None,
    reason="g++ and the vendors' headers are needed",
)
@pytest.mark.parametrize(
    "arguments",
    [
        ("layernorm", "--length", 384, "--format", "q5.3"),
        ("conv", *KINDS["conv"], "--format", "q5.3", "--weight-format", "q2.6", "--accumulator", "q8.8:rnd,wrap"),
        ("gelu", "--length", 16, "--format", "q5.11"),
    ],
    ids=lambda entry: str(entry[0]),
)
def test_blocks_pass_their_testbench(arguments: tuple[object, ...], tmp_path: Path) -> None:
    assert run("kernel", *arguments, "--target", "catapult", "-o", tmp_path / "lone").code == 0
    quick = tuple("-O0" if flag == "-O2" else flag for flag in FLAGS)
    report = cosim(tmp_path / "lone", layers=True, flags=quick)
    assert report.passed
    assert (report.frames, report.differing) == (50, 0)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("hls4ml") is None, reason="the vendors' headers are needed")
def test_nothing_in_blocks_that_hardware_has_not(tmp_path: Path) -> None:
    """Every kind, on one target or the other; functions are tables, two of them will do."""
    kinds = [kind for kind in LONE_KERNELS if kind not in FUNCTIONS or kind in {"gelu", "log"}]
    for kind, target in zip(kinds, itertools.cycle(DIALECTS), strict=False):
        folder = tmp_path / kind / "lone"
        assert run(*words(kind, folder, "--target", target)).code == 0
        root = folder / target / "src"
        headers = find_headers(DIALECTS[target])
        found = check(sorted(root.glob("*.cpp")), include=[root, folder / "sim"], system=[headers])
        assert not found, "\n".join(map(str, found))


def test_weights_of_a_block_through_a_port(tmp_path: Path) -> None:
    done = run(*words("dense", tmp_path / "lone", "--weight-storage", "port", "--json", "-"))
    assert done.code == 0, done.err
    (port,) = done.json["weights"]
    assert (port["port"], port["shape"], port["words"]) == ("w00", [3, 5], 15)
    assert "const signed char w00[15]" in (tmp_path / "lone/catapult/src/lone.h").read_text()
    done = run(*words("softmax", tmp_path / "other", "--weight-storage", "port"))
    assert (done.code, "--weights port: the plan has no dense layer" in done.err) == (2, True)
