"""Weights through a port: the same bits on both targets, any words without overflow, wrong words seen, and what is refused."""

from __future__ import annotations

import json
import random
import re
import shutil
from dataclasses import replace
from pathlib import Path

import emission
import numpy as np
import pytest
import test_linear_block
from commandline import run
from emission import needs_gxx
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper
from small_models import dense, floats, model, samples, save
from small_networks import plan_of, residual_plan
from test_every_kernel import check_sources

import fxnorm as fx
from fxnorm.errors import UnsupportedError, UsageError
from fxnorm.hls.build import FLAGS
from fxnorm.hls.choices import Choices
from fxnorm.hls.cosim import cosim
from fxnorm.hls.design import make_design
from fxnorm.hls.emit import emit
from fxnorm.hls.folding import fold
from fxnorm.hls.project import Project, make_project
from fxnorm.hls.vectors import parse, run_codes, text
from fxnorm.hls.weight_port import _copy, port_bits
from fxnorm.kernels.linear import Linear
from fxnorm.planning.plan import Plan

Array = np.ndarray
QUICK = tuple("-O0" if flag == "-O2" else flag for flag in FLAGS)


@needs_gxx
@pytest.mark.slow
@pytest.mark.parametrize("target", ["vitis", "catapult"])
def test_ports_give_the_bits_of_tables(target: str, tmp_path: Path) -> None:
    """Dense layers and convolutions of every rank, some folded, some with tables, four frames one after the other."""
    # Drawn so that outputs overflow, accumulators as well, and channels come in groups.
    rng = random.Random({"vitis": "weights of vitis 8", "catapult": "weights of catapult 3"}[target])
    cases = [test_linear_block.draw_case(rng, target, kind) for kind in test_linear_block.KINDS]
    choices = Choices.make(
        target, weights=["port", "l02_linear=rom"], parallelism=["l*[024]_linear=6", "l01_linear=full"]
    )
    emission.check(cases, target, tmp_path, choices=choices)
    check_sources(tmp_path, target)
    assert "l02_linear_weights" in (tmp_path / target / "src/l02_linear.cpp").read_text()
    assert not re.search(r"static const .*_weights\[", (tmp_path / target / "src/l03_linear.cpp").read_text())


@needs_gxx
@pytest.mark.slow
@pytest.mark.parametrize("target", ["vitis", "catapult"])
def test_any_words_are_summed_without_overflow(target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ends of the words at the port against the kernel with those weights: every width was made for them."""
    rng = random.Random(f"any words {target}")
    cases = []
    while len(cases) < 10:
        case = test_linear_block.draw_case(rng, target, rng.choice(["dense", "conv1d", "conv2d"]))
        assert isinstance(case.kernel, Linear)
        if (
            case.kernel.exact
            and port_bits(case.kernel.weights) in {8, 16}
            and case.inputs[0].encoding.format.width < 20
        ):
            cases.append(case)
    plan = emission.plan_of(cases)
    other = replace(plan, layers=tuple(replace(own, kernel=_extreme(own.kernel, rng)) for own in plan.layers))

    def with_words(*words: object, **given: object) -> Project:
        project = make_project(*words, **given)  # type: ignore[arg-type]
        files = dict(project.files)
        for index, layer in enumerate(other.layers):
            assert isinstance(layer.kernel, Linear)
            files[f"vectors/w{index:02d}.txt"] = text(layer.kernel.weights)
        return replace(project, files=files)

    monkeypatch.setattr(emission, "make_project", with_words)
    vectors = run_codes(other, emission.codes_of(plan, cases))
    wrong = emission.differences(plan, vectors, target, tmp_path, choices=Choices.make(target, weights=["port"]))
    assert not wrong, "\n".join(wrong)


def _extreme(kernel: object, rng: random.Random) -> Linear:
    """The same layer with other weights, most of them the lowest and the highest words; bounds as a plan would have them."""
    assert isinstance(kernel, Linear)
    bits = port_bits(kernel.weights)
    assert bits is not None
    low, high = -(1 << bits - 1), (1 << bits - 1) - 1
    numbers = np.random.default_rng(rng.randrange(1 << 32))
    drawn = numbers.choice(np.array([low, high, low, high, 0, 1, -1]), kernel.weights.shape).astype(np.int64)
    # The whole of some rows at one end: the largest sums that there are.
    drawn[::2] = numbers.choice(np.array([low, high]), (len(drawn[::2]), *(1,) * (drawn.ndim - 1)))
    bound = 1 << 62
    return replace(kernel, weights=drawn, bound=bound, stage=replace(kernel.stage, bound=bound))


@given(st.integers(1, 12), st.integers(1, 12), st.none() | st.integers(1, 30))
def test_every_word_goes_where_its_fold_reads_it(outputs: int, inputs: int, parallelism: int | None) -> None:
    """The loops, run in Python, against what the definition of folds says."""
    own = fold(outputs, inputs, parallelism)
    loops, source, place = _copy(own)
    expected = {}
    for output in range(outputs):
        for entry in range(inputs):
            step = output // own.pe * own.columns + entry // own.simd
            expected[output * inputs + entry] = (step * own.pe + output % own.pe) * own.simd + entry % own.simd
    seen = {}
    for numbers in np.ndindex(*(count for _, _, count in loops)):
        names = dict(zip((name for _, name, _ in loops), numbers, strict=True))
        seen[eval(source, {}, names)] = eval(place, {}, names)
    assert seen == expected


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ported") / "net"
    choices = Choices.make("catapult", weights=["port"], parallelism=["3"])
    emit(residual_plan(), folder, choices, frames=4)
    return folder


@needs_gxx
@pytest.mark.slow
def test_a_wrong_word_is_seen(project: Path, tmp_path: Path) -> None:
    assert cosim(project, flags=QUICK, layers=True).passed
    copy = tmp_path / "net"
    shutil.copytree(project, copy)
    path = copy / "vectors/w01.txt"
    words = parse(path.read_bytes())
    words[1, 30] += 40 if words[1, 30] < 0 else -40
    path.write_bytes(text(words))
    report = cosim(copy, flags=QUICK, layers=True, patience=1)
    assert not report.passed
    assert report.differing
    assert f"w01.txt does not hold the plan's weights of l01_linear: index {words.shape[1] + 30}" in report.vectors
    (target,) = report.targets
    assert [flavour.first_layer.block for flavour in target.flavours if flavour.first_layer] == ["l01_linear"] * 2
    assert target.shrunk is not None
    assert (Path(target.shrunk.folder) / "w01.txt").read_bytes() == path.read_bytes()


@needs_gxx
@pytest.mark.slow
def test_words_that_the_testbench_refuses(tmp_path: Path) -> None:
    """Too few, and one that is wider than the port."""
    copy = tmp_path / "net"
    emit(plan_of(dense(batch=1), samples(6)), copy, Choices.make("catapult", weights=["port"]), frames=4)
    path = copy / "vectors/w00.txt"
    words = parse(path.read_bytes())
    wide = words.copy()
    wide[0, 0] = 128
    for other, message in ((words[:-1], f"holds {words[:-1].size} words"), (wide, "index 0: 128 instead of")):
        path.write_bytes(text(other))
        report = cosim(copy, flags=QUICK)
        assert not report.passed
        assert message in report.vectors
        assert "exit code 2" in report.targets[0].message


@needs_gxx
@pytest.mark.slow
def test_a_wrong_word_that_changes_no_code_is_seen_all_the_same(tmp_path: Path) -> None:
    """An input that is always 0 hides its weight."""
    proto, x = dense(batch=1), samples(6)
    x[:, 0] = 0.0
    fx.emit(plan_of(proto, x), tmp_path / "net", "vitis", x, weights=["port"])
    path = tmp_path / "net/vectors/w00.txt"
    words = parse(path.read_bytes())
    words[0, 0] += 1 if words[0, 0] < 0 else -1
    path.write_bytes(text(words))
    report = cosim(tmp_path / "net", flags=QUICK)
    assert (report.differing, report.passed) == (0, False)
    assert "w00.txt does not hold the plan's weights of l00_linear: index 0" in report.vectors


def test_what_stands_in_the_files(tmp_path: Path) -> None:
    """Interfaces of both targets, the order in the manifest, and estimates that count the words of a frame."""
    save(dense(), tmp_path / "model.onnx")
    words = ("emit", tmp_path / "model.onnx", "--format", "q5.3", "--frames", 3)
    done = run(*words, "-o", tmp_path / "rom")
    assert done.code == 0, done.err
    done = run(*words, "-o", tmp_path / "net", "--weights", "port")
    assert done.code == 0, done.err
    manifest = json.loads((tmp_path / "net/manifest.json").read_text())
    (port,) = manifest["weights"]
    assert json.loads((tmp_path / "rom/manifest.json").read_text())["weights"] == []
    name, count = port["port"], port["words"]
    assert (port["type"], port["file"]) == ("signed char", f"vectors/{name}.txt")
    assert int(np.prod(port["shape"])) == count == parse((tmp_path / "net" / port["file"]).read_bytes()).size
    top = (tmp_path / "net/vitis/src/net.cpp").read_text()
    assert f"const signed char {name}[{count}]) {{" in top
    assert f"#pragma HLS INTERFACE m_axi port={name} offset=slave bundle=gmem_{name} depth={count}\n" in top
    assert "#pragma HLS INTERFACE s_axilite port=return bundle=control\n" in top
    assert f"/net/{name}:rsc -MAP_TO_MODULE" in (tmp_path / "net/catapult/directives.tcl").read_text()
    assert f"tb.file=../vectors/{name}.txt" in (tmp_path / "net/vitis/hls_config.cfg").read_text()
    raw = (tmp_path / "net/vitis/src/net.h").read_text()
    assert re.search(rf"void net_raw\(.*, const signed char {name}\[{count}\]\);", raw)

    def interval(folder: str) -> int:
        layers = json.loads((tmp_path / folder / "manifest.json").read_text())["estimates"]["layers"]
        return next(int(own["interval"]) for own in layers if own["kernel"] == "linear")

    assert interval("net") == interval("rom") + count


def softmax() -> Plan:
    proto = model(
        [helper.make_node("Softmax", ["x"], ["y"], name="soft")], [floats("x", [1, 4])], [floats("y", [1, 4])]
    )
    return plan_of(proto, np.random.default_rng(1).normal(size=(8, 4)).astype(np.float32))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["flash"], "--weights 'flash': must be rom or port"),
        (["soft=flash"], "must be rom or port"),
        (["=port"], "the layer's name is missing; write LAYER=port"),
        (["hard=port"], "--weights: no layer is named 'hard'"),
        (["soft=port"], "--weights: layer 'soft' has no weights that could come through a port"),
        (["port"], "--weights port: the plan has no dense layer and no convolution"),
    ],
)
def test_what_is_no_choice_is_refused(words: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        emit(softmax(), tmp_path / "net", Choices.make(weights=words))
    assert not list(tmp_path.iterdir())


def test_weights_wider_than_words_are_refused(tmp_path: Path) -> None:
    plan = plan_of(dense(batch=1), samples(6))
    first = plan.layers[0]
    assert isinstance(first.kernel, Linear)
    wide = first.kernel.weights.astype(object)
    wide[0, 0] = 1 << 63
    plan = replace(plan, layers=(replace(first, kernel=replace(first.kernel, weights=wide)), *plan.layers[1:]))
    make_design(plan, Choices.make())
    with pytest.raises(UnsupportedError) as refused:
        emit(plan, tmp_path / "net", Choices.make(weights=["port"]))
    assert "its weights are wider than 64 bits" in refused.value.reasons[0]
    assert first.name in refused.value.reasons[0]
    assert not list(tmp_path.iterdir())
