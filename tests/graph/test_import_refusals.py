"""Broken and hostile models: one message each that names the offender, and never another kind of error."""

from __future__ import annotations

from pathlib import Path

import pytest
from broken_models import BROKEN, good
from graph_models import BOOL, FLOAT, draw, model, node
from onnx import helper

from fxnorm.errors import ModelError, UnsupportedError
from fxnorm.graph.onnx_import import load


@pytest.mark.parametrize("name", BROKEN)
def test_broken_models_are_refused_by_name(name: str) -> None:
    proto, message = BROKEN[name]
    with pytest.raises(ModelError, match=message) as caught:
        load(proto)
    assert "\n" not in str(caught.value)


def test_outputs_listed_twice_are_refused() -> None:
    proto = model([node("Relu", ["x"], ["y"])], {"x": (1,)}, ["y"])
    proto.graph.output.append(proto.graph.output[0])
    with pytest.raises(ModelError, match="model: output 'y' is listed twice"):
        load(proto)


def test_text_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "latin.onnx"
    file.write_bytes(good().SerializeToString().replace(b"dense", b"d\xe9nse"))
    with pytest.raises(ModelError, match="must be UTF-8 text"):
        load(file)


UNSUPPORTED = {
    "operator of nobody": (
        [node("Frobnicate", ["x"], ["y"], name="it")],
        r"it \(Frobnicate\): there is no such operator in opset 21",
    ),
    "operator of another domain": (
        [node("Frobnicate", ["x"], ["y"], name="it", domain="some.where")],
        r"it \(Frobnicate\): there is no such operator of domain some.where",
    ),
    "shape from data": (
        [node("NonZero", ["x"], ["n"], name="it"), node("Cast", ["n"], ["y"], to=FLOAT)],
        r"it \(NonZero\): gives a shape that depends on the data",
    ),
    "sequence output": (
        [node("SequenceConstruct", ["x"], ["y"], name="it")],
        r"it \(SequenceConstruct\): does not give tensors",
    ),
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_what_has_no_shape_is_unsupported(name: str) -> None:
    nodes, message = UNSUPPORTED[name]
    with pytest.raises(UnsupportedError, match=message) as caught:
        load(model(nodes, {"x": (1, 4)}, ["y"], imports={"some.where": 1}))
    assert len(caught.value.reasons) == 1


def test_all_unsupported_nodes_are_listed_at_once() -> None:
    nodes = [
        node("NonZero", ["x"], ["n"], name="first"),
        node("Cast", ["n"], ["c"], to=FLOAT),
        node("Foo", ["x"], ["f"], name="second"),
        node("Det", ["x"], ["d"], name="third"),
    ]
    proto = model(nodes, {"x": (1, 4, 4)}, ["c", "f", "d"])
    with pytest.raises(UnsupportedError) as caught:
        load(proto, known=lambda domain, op, version: op == "Cast")
    assert [reason.split()[0] for reason in caught.value.reasons] == ["first", "second", "third"]


def test_what_an_unknown_domain_declares_is_believed() -> None:
    proto = model(
        [node("Gelu", ["x"], ["y"], domain="com.microsoft")],
        {"x": ("n", 4)},
        {"y": ("n", 4)},
        imports={"com.microsoft": 1},
    )
    graph = load(proto)
    assert graph.shape("y") == (1, 4)
    assert graph.nodes[0].domain == "com.microsoft"


def test_constants_that_are_computed_are_limited_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = [
        node("Exp", ["v"], ["a"], name="first"),
        node("Neg", ["v"], ["b"], name="second"),
        node("Add", ["a", "b"], ["c"], name="third"),
        node("Add", ["x", "c"], ["y"]),
    ]
    proto = model(nodes, {"x": (400,)}, ["y"], {"v": draw((400,))})
    monkeypatch.setattr("fxnorm.graph.simplify.MAX_ELEMENTS", 1200)
    load(proto)
    monkeypatch.setattr("fxnorm.graph.simplify.MAX_ELEMENTS", 1199)
    with pytest.raises(ModelError, match=r"third \(Add\): constants that are computed may have at most"):
        load(proto)


def test_subgraphs_are_checked_too() -> None:
    branch = helper.make_graph(
        [node("Relu", ["ghost"], ["out"], name="inner")],
        "branch",
        [],
        [helper.make_tensor_value_info("out", FLOAT, None)],
    )
    nodes = [node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)]
    with pytest.raises(ModelError, match=r"inner \(Relu\): nothing in the model makes the value 'ghost'"):
        load(model(nodes, {"c": (BOOL, ())}, ["y"]))


def test_hostile_names_do_not_reach_the_terminal() -> None:
    nodes = [node("Foo\x1b[2J", ["x"], ["y"], name="a\x1b]0;title\x07\n")]
    with pytest.raises(UnsupportedError) as caught:
        load(model(nodes, {"x": (1,)}, ["y"]))
    assert all(line.isprintable() for line in str(caught.value).splitlines())
    assert len(str(caught.value).splitlines()) == 2
    with pytest.raises(ModelError) as refused:
        load(model([node("Add", ["x"], ["y"], name="a\x1b]0;title\x07\n")], {"x": (1,)}, ["y"]))
    assert str(refused.value).isprintable()
    graph = load(model([node("Relu", ["x"], ["y"], name="r\x1b[31m")], {"x": (1,)}, ["y"]))
    assert str(graph.nodes[0]) == "r\\x1b[31m (Relu)"
