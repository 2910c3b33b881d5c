"""Models that were not made for these tests: real ones, exporters' own, onnx's test data."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
import onnx.backend.test
import pytest
from graph_models import run_as_is

from fxnorm.data import Data
from fxnorm.errors import FxnormError
from fxnorm.graph.graph import Graph
from fxnorm.graph.onnx_import import load
from fxnorm.graph.reference import Reference

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT / ".." / "shared" / "models"
EXPORTED = ROOT / "tests" / "data" / "exported"
ONNX_DATA = Path(onnx.backend.test.__file__).parent / "data"
LIGHT = sorted(ONNX_DATA.glob("light/*.onnx"))
SMALL_LIGHT = ("light_squeezenet", "light_shufflenet")
UNSET = {  # float64 models whose stored numbers were never set and go beyond float32
    "test_operator_add_broadcast",
    "test_operator_add_size1_broadcast",
    "test_operator_add_size1_right_broadcast",
    "test_operator_add_size1_singleton_broadcast",
    "test_operator_addconstant",
}
OLD = sorted(
    path.parent
    for kind in ("pytorch-converted", "pytorch-operator")
    for path in ONNX_DATA.glob(f"{kind}/*/model.onnx")
    if path.parent.name not in UNSET
)


def check_graph(graph: Graph) -> None:
    """What holds for every graph."""
    made = set(graph.inputs) | set(graph.constants)
    for node in graph.nodes:
        assert set(node.inputs) - {""} <= made, f"{node} reads what is not made yet"
        made |= set(node.outputs)
    assert set(graph.outputs) <= made
    assert set(graph.values) == made - {""}
    assert len({node.name for node in graph.nodes}) == len(graph.nodes)
    assert all(size > 0 for value in graph.values.values() for size in value.shape if value.name not in graph.constants)
    for name, array in graph.constants.items():
        assert (array.shape, array.dtype) == (graph.values[name].shape, graph.values[name].dtype)
        assert any(name in node.inputs for node in graph.nodes) or name in graph.outputs
    initializers = set(graph.model.graph.initializers)
    assert initializers == set(graph.constants)


@pytest.mark.parametrize("name", ["sww", "dscnn", "resnet8", "ad_autoencoder"])
def test_shared_models_agree_with_onnxruntime(name: str) -> None:
    path = SHARED / f"{name}.onnx"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    graph = load(path)
    check_graph(graph)
    assert graph.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (graph.path, graph.batch, graph.free_batch, graph.inputs) == (path, 1, True, ("input_1",))
    samples = Data.random(graph, 6).head(6)
    reference = Reference(graph, list(graph.values))
    together = reference.run(samples)
    assert (reference.engine, reference.together) == ("onnxruntime", True)
    reference.together = False
    alone = reference.run(samples)
    flat = {key: array.reshape(-1, *array.shape[2:]) for key, array in samples.items()}
    expected = run_as_is(path.read_bytes(), flat)
    for output, array in expected.items():
        scale = max(1.0, float(np.abs(array).max()))
        np.testing.assert_allclose(together[output].reshape(array.shape), array, rtol=1e-5, atol=1e-5 * scale)
    for value, array in together.items():
        assert array.shape == (6, *graph.shape(value))
        np.testing.assert_allclose(array, alone[value], rtol=1e-4, atol=1e-4 * max(1.0, float(np.abs(array).max())))


def test_the_wake_word_model_keeps_its_quality() -> None:
    path, data = SHARED / "sww.onnx", SHARED / "sww_samples.npz"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    graph = load(path)
    samples = Data.open(data, graph)
    assert samples.labels is not None
    scores = Reference(graph).run(samples.head(45))["dense"]
    assert np.mean(scores[:, 0].argmax(axis=1) == samples.labels) == pytest.approx(41 / 45)


def light(path: Path) -> None:
    graph = load(path)
    check_graph(graph)
    assert (graph.batch, graph.free_batch) == (1, False)
    ones = {name: np.ones((1, *graph.shape(name)), np.float32) for name in graph.inputs}
    (found,) = Reference(graph).run(ones).values()
    stored = onnx.TensorProto.FromString(path.with_name(f"{path.stem}_output_0.pb").read_bytes())
    np.testing.assert_allclose(found[0], onnx.numpy_helper.to_array(stored), rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("path", [path for path in LIGHT if path.stem in SMALL_LIGHT], ids=lambda path: path.stem)
def test_small_light_models_give_their_stored_outputs(path: Path) -> None:
    light(path)


@pytest.mark.slow
@pytest.mark.parametrize("path", LIGHT, ids=lambda path: path.stem)
def test_light_models_give_their_stored_outputs(path: Path) -> None:
    light(path)


def test_the_light_models_are_there() -> None:
    assert len(LIGHT) == 9


@pytest.mark.parametrize("folder", OLD, ids=lambda path: path.name)
def test_pytorchs_models_of_opset_6_give_their_stored_outputs(folder: Path) -> None:
    """Exported by PyTorch long ago, at opset 6, with inputs and outputs of its own."""
    graph = load(folder / "model.onnx")
    check_graph(graph)
    stored = folder / "test_data_set_0"
    inputs = [read(stored / f"input_{index}.pb") for index in range(len(list(stored.glob("input_*.pb"))))]
    feeds = {name: array[None] for name, array in zip(graph.inputs, inputs, strict=False)}
    results = Reference(graph).run(feeds)
    for index, name in enumerate(graph.outputs):
        np.testing.assert_allclose(results[name][0], read(stored / f"output_{index}.pb"), rtol=1e-3, atol=1e-5)


def read(path: Path) -> np.ndarray:
    return onnx.numpy_helper.to_array(onnx.TensorProto.FromString(path.read_bytes()))


def known(domain: str, op: str, version: int) -> bool:
    return domain == ""


@pytest.mark.parametrize("path", sorted(EXPORTED.glob("*.onnx")), ids=lambda path: path.stem)
def test_exporters_models_give_the_frameworks_outputs(path: Path) -> None:
    labels = "sklearn_logistic", "sklearn_mlp_classifier"
    graph = load(path, known=known, outputs=["probabilities"] if path.stem in labels else None)
    check_graph(graph)
    assert not any(node.domain for node in graph.nodes)
    assert not any(node.op in ("Identity", "Constant", "Shape", "CastLike") for node in graph.nodes)
    recorded = np.load(path.with_suffix(".npz"))
    inputs = {name: recorded[f"input.{name}"].reshape(-1, *graph.shape(name)) for name in graph.inputs}
    results = Reference(graph).run(inputs)
    for name in graph.outputs:
        expected = recorded[f"output.{name}"]
        np.testing.assert_allclose(results[name].reshape(expected.shape), expected, rtol=1e-4, atol=1e-5)


# One case of every operator of onnx's own node tests, computed from constants where that is what shapes depend on.

PRIMITIVE = frozenset(
    """Abs Add And Cast Ceil Clip Concat Constant ConstantOfShape Conv Cos CumSum Div Equal Erf Exp Expand Flatten Floor
    Gather Greater Identity If IsInf IsNaN Less Log Loop MatMul Max Min Mod Mul Neg Not OneHot Or Pad Pow Range Reciprocal
    ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum Reshape Round Shape Sigmoid Sign Sin Size Slice Split Sqrt Squeeze
    Sub Tanh Tile Transpose Trilu Unsqueeze Where""".split()  # noqa: SIM905
)
RANDOM = ("bernoulli", "training_dropout")
RUNTIME = (  # where onnxruntime and onnx are of different minds
    "attention_4d_with_past_and_present_qk_matmul_bias_3d_mask_causal",
    "attention_4d_with_past_and_present_qk_matmul_bias_4d_mask_causal",
    "attention_4d_diff_heads_mask4d_padded_kv",
    "attention_4d_padded_kv_bf16",
    "attention_4d_causal_padded_kv_bf16",
    "convinteger_with_padding",
    "dft",
    "resize_downsample_scales_cubic_align_corners",
    "resize_downsample_scales_linear_align_corners",
    "stft",
)


@pytest.mark.slow
@pytest.mark.parametrize("expand", [False, True], ids=["as they are", "expanded"])
@pytest.mark.filterwarnings("ignore")
def test_node_tests_of_onnx_give_their_outputs(expand: bool) -> None:
    """Every operator imports and computes what onnx says, as it is and in the operators by which onnx defines it."""
    from onnx.backend.test.loader import load_node_model_tests

    passed, wrong = 0, []
    for case in load_node_model_tests():
        if case.name.removeprefix("test_").startswith((*RANDOM, *RUNTIME)):
            continue
        inputs, outputs = case.data_sets[0]
        arrays = [*inputs, *outputs]
        if not all(isinstance(array, np.ndarray) and array.dtype.kind in "fiub" for array in arrays):
            continue
        proto = onnx.ModelProto.FromString(case.model.SerializeToString())
        feeds = dict(zip([value.name for value in proto.graph.input], inputs, strict=False))
        for name, array in list(feeds.items())[1:]:
            if array.ndim <= 1 and (array.dtype.kind in "iub" or proto.graph.node[0].op_type in ("Range", "Resize")):
                proto.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
        try:
            graph = load(proto, known=(lambda domain, op, version: op in PRIMITIVE) if expand else None)
            results = Reference(graph).run(
                {
                    name: feeds[name].reshape(1, *graph.shape(name)).astype(graph.values[name].dtype)
                    for name in graph.inputs
                }
            )
        except FxnormError:
            continue
        half = any(array.dtype.name in ("float16", "bfloat16") for array in arrays)
        tolerance = {"rtol": 2e-2, "atol": 2e-2} if half else {"rtol": 1e-3, "atol": 1e-5}
        for name, array in zip(graph.outputs, outputs, strict=True):
            found = results[name][0]
            if found.shape != array.shape or not np.allclose(
                found, array.astype(found.dtype), equal_nan=True, **tolerance
            ):
                wrong.append(case.name)
                break
        else:
            passed += 1
    assert not wrong
    assert passed > 1100
