"""Bad input: one clear message, the right exit code, nothing written, nothing printed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from commandline import run, tree
from onnx import TensorProto, helper
from small_models import dense, floats, integers, model, samples, save

FORMAT = ("--format", "q5.3")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a model and data, in which the command runs and which it must leave as it was."""
    monkeypatch.chdir(tmp_path)
    save(dense(), Path("m.onnx"))
    np.savez("data.npz", x=samples(), labels=np.arange(10) % 3)
    return tmp_path


def refused(*arguments: object, code: int = 2) -> str:
    """Message of a command line that is refused and leaves no trace."""
    before = tree(Path())
    folders = sorted(Path().rglob("*"))
    ran = run(*arguments)
    assert ran.code == code
    assert tree(Path()) == before
    assert sorted(Path().rglob("*")) == folders
    return ran.message


def simulate(*arguments: object) -> str:
    return refused("simulate", *arguments, "--json", "out.json", "--outputs", "out.npz", "--trace", "trace.npz")


# Models


@pytest.mark.parametrize("content", [b"", b"hello world", b"\x00" * 100, b"PK\x03\x04junk", b"{}"])
def test_not_a_model(content: bytes) -> None:
    Path("junk.onnx").write_bytes(content)
    assert "junk.onnx: not an ONNX model" in simulate("junk.onnx", *FORMAT)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9, 0.99])
def test_truncated_model(share: float) -> None:
    whole = Path("m.onnx").read_bytes()
    Path("cut.onnx").write_bytes(whole[: int(share * len(whole))])
    assert simulate("cut.onnx", *FORMAT)


def test_missing_model() -> None:
    assert simulate("gone.onnx", *FORMAT) == "gone.onnx: there is no such file"


def test_folder_as_model() -> None:
    Path("folder").mkdir()
    assert "this is a folder" in simulate("folder", *FORMAT)


def test_name_that_no_file_can_have() -> None:
    assert "File name too long" in simulate("n" * 5000, *FORMAT)


def external(location: str, **entries: str) -> None:
    proto = dense()
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **entries}.items():
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    save(proto, Path("external.onnx"))


def test_external_data_that_are_missing() -> None:
    external("weights.bin")
    message = simulate("external.onnx", *FORMAT)
    assert "weights.bin" in message
    assert "missing" in message


@pytest.mark.parametrize("location", ["../weights.bin", "/etc/hostname", "sub/../../weights.bin", "link.bin"])
def test_external_data_outside_the_folder(location: str, folder: Path) -> None:
    (folder.parent / "weights.bin").write_bytes(bytes(48))
    Path("link.bin").symlink_to("../weights.bin")
    external(location)
    message = simulate("external.onnx", *FORMAT)
    assert "folder" in message
    assert location in message
    (folder.parent / "weights.bin").unlink()


def test_external_data_that_are_too_short() -> None:
    Path("short.bin").write_bytes(bytes(47))
    external("short.bin")
    assert "short.bin" in simulate("external.onnx", *FORMAT)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite(value: float) -> None:
    weights = np.ones((4, 3), np.float32)
    weights[1, 2] = value
    save(dense(weights=weights), Path("bad.onnx"))
    message = simulate("bad.onnx", *FORMAT)
    assert "'weights'" in message
    assert "finite" in message
    assert "dense (Gemm)" in message


def test_cycle() -> None:
    nodes = [
        helper.make_node("Add", ["x", "b"], ["a"], name="one"),
        helper.make_node("Relu", ["a"], ["b"], name="two"),
    ]
    save(model(nodes, [floats("x", ["N", 4])], [floats("b", ["N", 4])]), Path("cycle.onnx"))
    message = simulate("cycle.onnx", *FORMAT)
    assert "cycle" in message
    assert "one (Add)" in message
    assert "two (Relu)" in message


def unsupported() -> onnx.ModelProto:
    nodes = [
        helper.make_node("Sin", ["x"], ["a"], name="first"),
        helper.make_node("Cos", ["a"], ["b"], name="sec\x1b[31mond\nfxnorm: all is well"),
        helper.make_node("Relu", ["b"], ["c"]),
        helper.make_node("Tan", ["c"], ["y"], name="third"),
    ]
    return model(nodes, [floats("x", ["N", 4])], [floats("y", ["N", 4])])


@pytest.mark.parametrize("command", [("simulate",), ("plan", "-o", "new")])
def test_everything_unsupported_is_listed_at_once(command: tuple[str, ...]) -> None:
    save(unsupported(), Path("u.onnx"))
    before = tree(Path())
    ran = run(*command, "u.onnx", *FORMAT)
    assert ran.code == 3
    assert ran.out == ""
    lines = ran.err.splitlines()
    assert lines[0] == "fxnorm: error: 3 nodes cannot be run in fixed point:"
    assert [line.split("(")[1].split(")")[0] for line in lines[1:]] == ["Sin", "Cos", "Tan"]
    assert all(line.startswith("  ") and line.isprintable() for line in lines[1:])
    assert tree(Path()) == before


def test_shapes_that_depend_on_data_are_unsupported() -> None:
    nodes = [helper.make_node("NonZero", ["x"], ["y"], name="where")]
    save(model(nodes, [floats("x", ["N", 4])], [integers("y", None)]), Path("u.onnx"))
    ran = run("simulate", "u.onnx", *FORMAT)
    assert ran.code == 3
    assert "where (NonZero)" in ran.err


# Data


def test_missing_data() -> None:
    assert simulate("m.onnx", *FORMAT, "--data", "gone.npz") == "gone.npz: there is no such file"


def test_empty_folder_of_data() -> None:
    Path("empty").mkdir()
    assert "empty" in simulate("m.onnx", *FORMAT, "--data", "empty")


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"z": samples()}, ("'x'", "missing", "'z'")),
        ({"x": samples(), "z": samples()}, ("'z'", "no input")),
        ({"x": samples()[:, :3]}, ("'x'", "samples × 4", "[10, 3]")),
        ({"x": samples().reshape(-1)}, ("'x'", "samples × 4", "[40]")),
        ({"x": samples()[:0]}, ("'x'", "at least one")),
        ({"x": samples().astype(str)}, ("'x'", "real numbers", "<U")),
        ({"x": samples().astype(complex)}, ("'x'", "real numbers", "complex128")),
        ({"x": np.array([{}], object)}, ("'x'", "pickled")),
        ({"x": samples(), "labels": np.arange(9)}, ("'labels'", "10", "[9]")),
        ({"x": samples(), "labels": np.arange(10)}, ("labels", "0..2", "0..9")),
        ({"x": samples(), "labels": -np.ones(10, int)}, ("labels", "0..2", "-1")),
        ({"x": samples(), "labels": np.ones(10)}, ("'labels'", "integers", "float64")),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_data_that_do_not_fit(arrays: dict[str, np.ndarray], words: tuple[str, ...]) -> None:
    np.savez("bad.npz", **arrays)
    message = simulate("m.onnx", *FORMAT, "--data", "bad.npz")
    for word in words:
        assert word in message


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("row", [3, 299])
def test_data_that_are_not_finite(value: float, row: int) -> None:
    # Whether calibration meets the value (the first 256 samples) or the run itself does.
    x = samples(300)
    x[row, 2] = value
    np.savez("bad.npz", x=x)
    message = simulate("m.onnx", *FORMAT, "--data", "bad.npz")
    assert "finite" in message
    assert f"sample {row} " in message


def test_damaged_data() -> None:
    Path("cut.npz").write_bytes(Path("data.npz").read_bytes()[:200])
    assert "cut.npz" in simulate("m.onnx", *FORMAT, "--data", "cut.npz")
    assert "m.onnx: must be an .npz" in simulate("m.onnx", *FORMAT, "--data", "m.onnx")


def test_labels_without_classes() -> None:
    nodes = [helper.make_node("ReduceMean", ["x"], ["y"], axes=[1], keepdims=1)]
    save(model(nodes, [floats("x", ["N", 4])], [floats("y", ["N", 1])]), Path("one.onnx"))
    assert "no output with more than one class" in simulate("one.onnx", *FORMAT, "--data", "data.npz")


def test_calibration_data_that_do_not_fit() -> None:
    np.savez("bad.npz", x=samples()[:, :2])
    options = ("--data", "data.npz", "--calibration-data", "bad.npz")
    assert "bad.npz" in simulate("m.onnx", *FORMAT, *options)


# Formats and other options


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("q0.0", "width"),
        ("q5", "point"),
        ("q40.40", "80"),
        ("q33.0", "33"),
        ("q9999.-9991", "9999"),
        ("nonsense", "spelling"),
        ("", "spelling"),
        ("q5.3:rnd,trn", "'trn'"),
        ("q5.3:up", "'up'"),
        ("ap_fixed<8,5,AP_RND_CONV_ODD,AP_SAT>", "AP_RND_CONV_ODD"),
        ("q5.3\x1b[31m", "spelling"),
    ],
)
@pytest.mark.parametrize("option", ["--format", "--weight-format"])
def test_formats_that_are_none(option: str, text: str, word: str) -> None:
    given = ("--format", text) if option == "--format" else (*FORMAT, option, text)
    message = simulate("m.onnx", *given)
    assert message.startswith(f"{option}: format ")
    assert word.lower() in message.lower()


def test_no_format() -> None:
    assert simulate("m.onnx").startswith("--format: is missing")


@pytest.mark.parametrize(
    "option",
    ["--rounding", "--overflow", "--normalize", "--calibration", "--batchnorm", "--accumulator", "--product-format"],
)
def test_words_that_are_none(option: str) -> None:
    message = simulate("m.onnx", *FORMAT, option, "sideways")
    assert message.startswith(option)
    assert "'sideways'" in message


@pytest.mark.parametrize(
    "options",
    [
        ("--format", "q5.3:trn,wrap", "--rounding", "rnd"),
        ("--format", "q5.3:trn,wrap", "--overflow", "sat"),
        ("--format", "ac_fixed<8,5,true>", "--rounding", "rnd"),
    ],
    ids=" ".join,
)
def test_modes_that_contradict(options: tuple[str, ...]) -> None:
    assert "contradict" in simulate("m.onnx", *options)


@pytest.mark.parametrize("option", [("--samples", "3"), ("--seed", "3"), ("--seed", "0")])
def test_random_samples_beside_data(option: tuple[str, str]) -> None:
    assert "--data" in simulate("m.onnx", *FORMAT, "--data", "data.npz", *option)
    assert "--samples" in refused("plan", "m.onnx", *FORMAT, "--data", "data.npz", *option, "-o", "new")


@pytest.mark.parametrize("pair", list(itertools.combinations(["--json", "--outputs", "--trace"], 2)))
def test_one_file_for_two_outputs(pair: tuple[str, str]) -> None:
    message = refused("simulate", "m.onnx", *FORMAT, pair[0], "same", pair[1], "./same")
    assert pair[0] in message
    assert pair[1] in message


@pytest.mark.parametrize("option", ["--json", "--outputs", "--trace"])
@pytest.mark.parametrize("target", ["m.onnx", "data.npz", "./link.npz", "more/0.npz", "more/new", "plan.toml"])
def test_a_file_that_the_command_reads_is_not_overwritten(option: str, target: str) -> None:
    Path("more").mkdir()
    np.savez("more/0.npz", x=samples())
    Path("link.npz").symlink_to("data.npz")
    Path("plan.toml").write_text('rounding = "trn"')
    options = ("--data", "data.npz", "--calibration-data", "more", "--config", "plan.toml")
    assert "what the command reads" in refused("simulate", "m.onnx", *FORMAT, *options, option, target)


@pytest.mark.parametrize("option", ["--outputs", "--trace"])
def test_arrays_do_not_go_to_standard_output(option: str) -> None:
    assert "standard output" in refused("simulate", "m.onnx", *FORMAT, option, "-")


def test_both_kinds_of_data_for_a_plan() -> None:
    options = ("--data", "data.npz", "--calibration-data", "data.npz")
    assert "--calibration-data" in refused("plan", "m.onnx", *FORMAT, *options, "-o", "new")


@pytest.mark.parametrize(
    ("rule", "word"),
    [
        ("dense", "NAME:KEY=VALUE"),
        ("dense:format", "NAME:KEY=VALUE"),
        ("dense:colour=red", "'colour'"),
        ("nothing*:format=q5.3", "'nothing*'"),
        ("dense:format=q40.40", "80"),
        ("dense:normalize=maybe", "'maybe'"),
        ("dense:rounding=up", "'up'"),
        ("*:accumulator=q5", "point"),
    ],
)
def test_layer_rules_that_are_wrong(rule: str, word: str) -> None:
    assert word in simulate("m.onnx", *FORMAT, "--layer", rule)


@pytest.mark.parametrize("text", ["T", "T=", "T=x", "=3", "T=-1", "T=0", "T=²", "nothing=3"])
def test_dimensions_that_are_wrong(text: str) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["y"])]
    save(model(nodes, [floats("x", ["N", "T"])], [floats("y", ["N", "T"])]), Path("free.onnx"))
    assert simulate("free.onnx", *FORMAT, "--dim", text)


def test_a_dimension_given_twice() -> None:
    assert "twice" in simulate("m.onnx", *FORMAT, "--dim", "N=2", "--dim", "N=3")


@pytest.mark.parametrize(
    ("option", "value"),
    [("--batch", "0"), ("--batch", "-1"), ("--batch", "two"), ("--samples", "0"), ("--seed", "-1")],
)
def test_numbers_that_are_wrong(option: str, value: str) -> None:
    assert option.strip("-") in simulate("m.onnx", *FORMAT, option, value)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("format == 3", "TOML"),
        ('format = "q5.3', "TOML"),
        ("format = 5.3", "format"),
        ('colour = "red"', "'colour'"),
        ('layers = "dense:format=q5.3"', "'layers'"),
        ("layer = 3", "layer"),
        ("[layer]\ndense = 3", "dense"),
        ('[layer."dense"]\ncolour = "red"', "colour"),
        ('[layer."dense"]\nformat = 3', "format"),
        ('[layer."nothing"]\nformat = "q5.3"', "'nothing'"),
        ('weight-format = "q1.3"\nweight_format = "q1.4"', "twice"),
        ('rounding = "sideways"', "'sideways'"),
        ('format = "q5"', "point"),
    ],
)
def test_config_files_that_are_wrong(content: str, word: str) -> None:
    Path("plan.toml").write_text(content)
    given = () if content == 'format = "q5"' else FORMAT
    assert word in simulate("m.onnx", *given, "--config", "plan.toml")


@pytest.mark.parametrize("name", ["gone.toml", ".", "latin.toml"])
def test_config_files_that_cannot_be_read(name: str) -> None:
    Path("latin.toml").write_bytes(b'format = "\xff"')
    assert "--config" in simulate("m.onnx", *FORMAT, "--config", name)


@pytest.mark.parametrize(
    "arguments",
    [
        ("simulat", "m.onnx"),
        ("simulate",),
        ("simulate", "m.onnx", "n.onnx", *FORMAT),
        ("simulate", "m.onnx", "--fromat", "q5.3"),
        ("simulate", "m.onnx", "--format"),
        ("plan", "m.onnx", *FORMAT),
        ("inspect",),
        ("ops", "m.onnx"),
        ("inspect", "m.onnx", *FORMAT),
        ("simulate", "m.onnx", *FORMAT, "--model", "m.onnx"),
        ("simulate", "m.onnx", "--no\x1b[31msuch"),
    ],
    ids=str,
)
def test_wrong_usage(arguments: tuple[str, ...]) -> None:
    assert refused(*arguments).isprintable()


def test_no_command_shows_the_help() -> None:
    ran = run()
    assert ran.code == 2
    assert ran.out == ""
    assert "simulate" in ran.err


# Files that cannot be written


@pytest.mark.parametrize("option", ["--json", "--outputs", "--trace"])
@pytest.mark.parametrize(
    ("target", "word"),
    [
        (".", "folder"),
        ("nowhere/out", "there is no folder"),
        ("m.onnx/out", "there is no folder"),
        ("n" * 300, "too long"),
        ("/proc/fxnorm-out", "cannot be written"),  # where not even root may
    ],
)
def test_targets_that_cannot_be_written(option: str, target: str, word: str) -> None:
    message = refused("simulate", "m.onnx", *FORMAT, option, target)
    assert message.startswith(f"{option} {target}: ")
    assert word in message


def test_nothing_is_run_before_the_targets_are_known_to_be_good(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("the model was imported")

    monkeypatch.setattr("fxnorm.graph.onnx_import.load", fail)
    refused("simulate", "m.onnx", *FORMAT, "--json", "/proc/fxnorm-out")


def test_read_only_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    # Root may write anywhere; what the operating system says to others is said here by its own call.
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    assert "Permission denied" in refused("simulate", "m.onnx", *FORMAT, "--json", "out.json")


def test_read_only_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("out.json").write_text("precious")
    Path("out.json").chmod(0o444)
    monkeypatch.setattr("os.access", lambda *_: False)
    assert "read-only" in refused("simulate", "m.onnx", *FORMAT, "--json", "out.json")


@pytest.mark.parametrize("option", ["--json", "--outputs", "--trace"])
def test_full_disk(option: str) -> None:
    before = tree(Path())
    ran = run("simulate", "m.onnx", *FORMAT, "--data", "data.npz", option, "/dev/full")
    assert ran.code == 2
    assert ran.message == f"{option} /dev/full: cannot be written: No space left on device"
    assert tree(Path()) == before
    assert Path("/dev/full").is_char_device()


@pytest.mark.parametrize("call", ["write", "replace"])
def test_a_disk_that_fills_while_files_are_made(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*(("zipfile._ZipWriteFile.write", fail) if call == "write" else ("os.replace", fail)))
    options = ("--data", "data.npz", "--json", "out.json", "--trace", "trace.npz")
    assert "No space left on device" in refused("simulate", "m.onnx", *FORMAT, *options)


@pytest.mark.parametrize("target", [".", "m.onnx", "data.npz", "other"])
def test_a_plan_replaces_nothing_but_a_plan(target: str) -> None:
    Path("other").mkdir()
    Path("other/file").write_text("precious")
    assert "plan" in refused("plan", "m.onnx", *FORMAT, "-o", target)


def test_a_plan_where_nothing_can_be_written() -> None:
    assert "cannot be written" in refused("plan", "m.onnx", *FORMAT, "-o", "/proc/fxnorm/plan")


@pytest.mark.parametrize("error", [MemoryError(), RecursionError()])
def test_what_is_too_large(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("fxnorm.commands.Study.evaluate", fail)
    simulate("m.onnx", *FORMAT, "--data", "data.npz")


def test_an_interrupt_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fxnorm.report.archive.Archive.finish", interrupt)
    options = ("--data", "data.npz", "--json", "out.json", "--trace", "trace.npz")
    assert refused("simulate", "m.onnx", *FORMAT, *options, code=130) == "interrupted"
