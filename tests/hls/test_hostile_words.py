"""Texts of a model, and words of a user, that would be executed or would break a file: none gets further than manifest.json."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
from commandline import run, tree
from emission import needs_gxx
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from onnx import helper
from small_models import floats, model, samples, save

import fxnorm as fx
from fxnorm.errors import UsageError
from fxnorm.hls.build import find_headers
from fxnorm.hls.choices import Choices
from fxnorm.hls.design import make_design
from fxnorm.hls.dialect import CATAPULT, VITIS
from fxnorm.hls.names import check_name
from fxnorm.hls.project import make_project
from fxnorm.hls.reserved import TAKEN, WORDS
from fxnorm.hls.vectors import random_codes, run_codes
from fxnorm.planning.plan import Plan

PIECES = (
    *(
        "'",
        '"',
        "`",
        "{",
        "}",
        "{{ 7 * 7 }}",
        "{% raw %}",
        "$(touch pwned)",
        "`touch pwned`",
        "${HOME}",
        "[exec touch pwned]",
    ),
    *(
        "\n",
        "\r",
        "\t",
        "*/",
        "/*",
        "//",
        "\\",
        "\\\n",
        "#include",
        "#define W 1",
        "??/",
        ";",
        "%s",
        "%n",
        "|",
        "&&",
        ">",
        "<",
    ),
    *(
        "module",
        "endmodule",
        "while",
        "int",
        "signal",
        "$finish",
        "../..",
        "/etc/passwd",
        "-o",
        "--part",
        "t00",
        "l00_linear",
    ),
    *("\x00", "\x1b[2J", "\u202e", "ünïcödé", "名前", "🂡", " ", ""),
)
HOSTILE = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=6).map("".join),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    st.sampled_from(sorted(WORDS)),
    st.sampled_from([piece * 5_000 for piece in ("n", "$(", "*/")]),
)


def named(texts: dict[str, str]) -> onnx.ModelProto:
    """A model of three nodes, two inputs and two outputs, whose every text is another one."""

    def own(name: str) -> str:
        return texts.get(name, name)

    rng = np.random.default_rng(2)
    constants = {own("weights"): rng.normal(size=(4, 4)).astype(np.float32)}
    nodes = [
        helper.make_node("MatMul", [own("x"), own("weights")], [own("hidden")], name=own("first")),
        helper.make_node("Add", [own("hidden"), own("z")], [own("sum")], name=own("second")),
        helper.make_node("Relu", [own("sum")], [own("y")], name=own("third")),
    ]
    inputs = [floats(own("x"), [1, 4]), floats(own("z"), [1, 4])]
    proto = model(nodes, inputs, [floats(own("y"), [1, 4]), floats(own("hidden"), [1, 4])], constants)
    proto.graph.name = own("graph")
    proto.graph.doc_string = proto.doc_string = own("text")
    proto.producer_name = proto.domain = own("producer")
    proto.metadata_props.add(key=own("key"), value=own("value"))
    for node in proto.graph.node:
        node.doc_string = own("text")
    return proto


VALUES = ("x", "z", "hidden", "sum", "y", "weights")
OTHERS = ("first", "second", "third", "graph", "text", "producer", "key", "value")


@cache
def plain() -> Plan:
    return planned({})


def planned(texts: dict[str, str]) -> Plan:
    graph = fx.load(named(texts))
    data = {texts.get(name, name): samples(8, seed=number) for number, name in enumerate(("x", "z"))}
    return fx.plan(graph, fx.calibrate(graph, data), format="q5.3")


def files(plan: Plan) -> dict[str, bytes]:
    design = make_design(plan, Choices.make("all"))
    return dict(make_project(design, "net", run_codes(plan, random_codes(plan, 3))).files)


@settings(max_examples=30)
@given(
    st.lists(HOSTILE, min_size=len(VALUES), max_size=len(VALUES), unique=True),
    st.lists(HOSTILE, min_size=len(OTHERS), max_size=len(OTHERS)),
)
@example(["x", "X", "xX", "Xx", "XX", "xx"], ["dense", "DENSE", "Dense", "", "", "", "", ""])
@example(
    ["module", "MODULE", "endmodule", "while", "reg", "int"],
    ["begin", "end", "signal", "class", "x\\", "\\", "\\", "*/"],
)
def test_no_text_of_a_model_leaves_the_manifest(values: list[str], others: list[str]) -> None:
    """Whatever names and texts are: every other file is that of a model with harmless ones, byte by byte."""
    assume(all(name.strip() and "\x00" not in name for name in values))
    texts = dict(zip((*VALUES, *OTHERS), [*values, *(text.replace("\x00", "") for text in others)], strict=True))
    made, wanted = files(planned(texts)), files(plain())
    assert sorted(made) == sorted(wanted)
    assert [path for path in made if made[path] != wanted[path]] in ([], ["manifest.json"])
    manifest = json.loads(made["manifest.json"])
    assert [end["name"] for end in manifest["inputs"]] == [texts["x"], texts["z"]]
    assert [end["name"] for end in manifest["outputs"]] == [texts["y"], texts["hidden"]]
    made["manifest.json"].decode("ascii")


@needs_gxx
@pytest.mark.slow
def test_nothing_of_a_hostile_model_is_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the file through `emit`, `make` and `cosim`: nothing appears that was not asked for."""
    bad = '"; $(touch pwned) `touch pwned` [exec touch pwned] */ #error \\\n{{ 7 * 7 }} ${{:: touch pwned }}\\'
    texts = {name: f"{name} {bad}{name}" for name in (*VALUES, *OTHERS)}
    monkeypatch.chdir(tmp_path)
    save(named(texts), tmp_path / "model.onnx")
    done = run("emit", "model.onnx", "--format", "q5.3", "-o", "net", "--samples", 3)
    assert done.code == 0, done.err
    headers = [f"AP_INCLUDE={find_headers(VITIS)}", f"AC_INCLUDE={find_headers(CATAPULT)}"]
    words = ["make", "-C", "net/sim", "CXXFLAGS=-std=c++14 -O0 -Wno-unknown-pragmas -Wno-unused-label", *headers]
    built = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)
    assert built.returncode == 0, built.stderr
    assert run("cosim", "net", "--target", "catapult", "--layers").code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.onnx", "net"]
    assert not list(tmp_path.rglob("*pwned*"))
    texts_found = [path for path, content in tree(tmp_path / "net").items() if b"pwned" in content]
    assert texts_found == ["manifest.json"]


def refused(call: Callable[[], object], first_words: str) -> bool:
    """Whether a call refuses what it is given, in short and printable words."""
    try:
        call()
    except UsageError as error:
        said = str(error)
    else:
        return False
    assert said.startswith(first_words)
    assert said.isprintable()
    assert len(said) < 400
    return True


@given(HOSTILE)
@settings(max_examples=200)
def test_a_name_is_harmless_or_refused(text: str) -> None:
    if not refused(lambda: check_name(text, "-o"), "-o: a project's name must"):
        assert text.isascii()
        assert text.isidentifier()
        assert len(text) <= 40
        assert text.lower() not in WORDS | TAKEN


@given(HOSTILE)
@settings(max_examples=200)
@pytest.mark.parametrize("option", ["part", "technology", "clock"])
def test_an_option_is_harmless_or_refused(option: str, text: str) -> None:
    """And the message names the option."""
    if not refused(lambda: Choices.make("all", **{option: text}), f"--{option}: must be "):
        assert text.isascii()
        assert all(letter.isalnum() or letter in "-_." for letter in text)
        assert text[0].isalnum()


WORDS_REFUSED = ('a"b', "{x}", "$(touch pwned)", "a\nb", "*/", "back\\", "n" * 10_000, "ünïcödé", "[exec ls]", "-", "")


@pytest.mark.parametrize("word", WORDS_REFUSED, ids=lambda word: repr(word[:20]))
@pytest.mark.parametrize("command", ["emit", "kernel"])
def test_commands_refuse_hostile_words(
    command: str, word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every option that stands in a script or in C++; nothing is written, and nothing else happens."""
    monkeypatch.chdir(tmp_path)
    save(named({}), tmp_path / "model.onnx")
    first = ("emit", "model.onnx") if command == "emit" else ("kernel", "softmax", "--length", 4)
    options = ["--part", "--technology", "--clock", "--io", "--parallelism", "--target"]
    for option in options:
        done = run(*first, "--format", "q5.3", "-o", "net", f"{option}={word}")
        assert done.code == 2, (option, done.err)
        assert option in done.message
    done = run(*first, "--format", "q5.3", f"--output={word}")
    assert done.code == 2, done.err
    if command == "kernel":
        for option in ("--length", "--rows"):
            assert run("kernel", "softmax", "--length=4", f"{option}={word}", "--format", "q5.3", "-o", "net").code == 2
        assert run("kernel", word, "--length", 4, "--format", "q5.3", "-o", "net").code == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.onnx"]
