"""`fxnorm simulate`: what it prints, what its JSON says, and what its files hold."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from commandline import Ran, read_json, run, tree
from onnx import helper
from small_models import dense, floats, integers, model, samples, save

Array = np.ndarray

FORMAT = ("--format", "q5.3")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return save(dense(), tmp_path / "dense.onnx")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    np.savez(tmp_path / "data.npz", x=samples(), labels=np.arange(10) % 3)
    return tmp_path / "data.npz"


def simulate(*arguments: object) -> Ran:
    ran = run("simulate", *arguments)
    assert ran.code == 0, ran.err
    return ran


def fp32(path: Path, x: Array) -> Array:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {"x": x})
    return np.asarray(y, np.float64)


# JSON


def test_json_on_standard_output_is_all_that_is_printed_there(path: Path, data: Path) -> None:
    ran = simulate(path, *FORMAT, "--data", data, "--json", "-")
    assert ran.err == ""
    record = ran.json
    assert record["model"]["path"] == str(path)
    assert record["samples"] == 10
    assert list(record) == ["model", "data", "plan", "samples", "outputs", "accuracy", "layers", "hint", "seconds"]


def test_json_file_holds_the_same_and_the_table_is_printed(path: Path, data: Path, tmp_path: Path) -> None:
    direct = simulate(path, *FORMAT, "--data", data, "--json", "-").json
    ran = simulate(path, *FORMAT, "--data", data, "--json", tmp_path / "run.json")
    record = read_json((tmp_path / "run.json").read_text())
    assert {**record, "seconds": 0} == {**direct, "seconds": 0}
    assert "SQNR" in ran.out


def test_json_names_what_was_run(path: Path, data: Path) -> None:
    import hashlib

    record = simulate(path, *FORMAT, "--data", data, "--json", "-").json
    assert record["model"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    digest = hashlib.sha256(data.read_bytes()).hexdigest()
    assert record["data"] == {"description": str(data), "sha256": digest}
    plan = record["plan"]
    assert plan["calibration"] == {"description": str(data), "sha256": digest}
    assert len(plan["digest"]) == 64
    del plan["digest"], plan["calibration"]
    assert plan == {
        "format": "q5.3",
        "width": 8,
        "integer_bits": 5,
        "fraction_bits": 3,
        "normalize": "pow2",
    }


def test_json_says_the_modes_that_were_asked_for_apart_from_the_format(path: Path, data: Path) -> None:
    options = ("--data", data, "--json", "-")
    apart = simulate(path, *FORMAT, "--rounding", "trn", "--overflow", "wrap", *options).json
    together = simulate(path, "--format", "q5.3:trn,wrap", *options).json
    assert apart["plan"]["format"] == together["plan"]["format"] == "q5.3:trn,wrap"
    assert apart["layers"] == together["layers"]


def test_errors_of_outputs_are_those_of_the_saved_values(path: Path, data: Path, tmp_path: Path) -> None:
    record = simulate(path, *FORMAT, "--data", data, "--json", "-", "--outputs", tmp_path / "out.npz").json
    with np.load(tmp_path / "out.npz") as saved:
        values, codes = saved["y.values"], saved["y.codes"]
    wanted = fp32(path, samples())
    assert values.shape == wanted.shape
    assert codes.dtype == np.int64
    output = record["outputs"]["y"]
    error = values - wanted
    assert output["sqnr_db"] == pytest.approx(10 * math.log10((wanted**2).sum() / (error**2).sum()), abs=1e-6)
    assert output["max_abs_error"] == pytest.approx(np.abs(error).max())
    assert output["mean_abs_error"] == pytest.approx(np.abs(error).mean())
    cosine = (values * wanted).sum() / math.sqrt((values**2).sum() * (wanted**2).sum())
    assert output["cosine"] == pytest.approx(cosine)
    assert output["argmax_agreement"] == np.mean(values.argmax(axis=1) == wanted.argmax(axis=1))
    labels = np.arange(10) % 3
    assert record["accuracy"] == {
        "fp32": np.mean(wanted.argmax(axis=1) == labels),
        "fixed": np.mean(values.argmax(axis=1) == labels),
    }


def test_layers_say_what_the_trace_holds(path: Path, data: Path, tmp_path: Path) -> None:
    ran = simulate(path, *FORMAT, "--data", data, "--json", "-", "--trace", tmp_path / "trace.npz")
    layers = {layer["output"]: layer for layer in ran.json["layers"]}
    with np.load(tmp_path / "trace.npz") as saved:
        assert set(saved.files) == {f"{name}.{kind}" for name in ("x", "y") for kind in ("codes", "values")}
        for name, layer in layers.items():
            codes, values = saved[f"{name}.codes"], saved[f"{name}.values"]
            assert np.array_equal(values, codes / 8 * layer["scale"] + layer["offset"])
            assert layer["min"] == codes.min() / 8
            assert layer["max"] == codes.max() / 8
            assert layer["at_limit_fraction"] == np.mean((codes == -128) | (codes == 127))
            bits = max((~c if c < 0 else c).bit_length() + 1 for c in codes.ravel().tolist())
            assert layer["bits_used"] == bits
    assert [(layer["name"], layer["op"], layer["kernel"]) for layer in layers.values()] == [
        ("x", "Input", "quantize"),
        ("dense", "Gemm+Relu", "linear"),
    ]
    assert layers["y"]["accumulator"]["proof"] == "cannot overflow"
    assert layers["y"]["accumulator"]["overflow_count"] == 0
    assert "accumulator" not in layers["x"]


def test_overflow_of_the_input_is_counted(path: Path, tmp_path: Path) -> None:
    x = samples(400) * 12
    np.save(tmp_path / "x.npy", x)
    ran = simulate(path, *FORMAT, "--normalize", "none", "--data", tmp_path / "x.npy", "--json", "-")
    layer = ran.json["layers"][0]
    rounded = np.floor(x.astype(np.float64) * 8 + 0.5)
    lost = np.count_nonzero((rounded > 127) | (rounded < -128))
    assert lost > 50
    assert layer["overflow_count"] == lost
    assert layer["overflow_fraction"] == lost / x.size
    assert layer["at_limit_fraction"] == np.mean((rounded >= 127) | (rounded <= -128)) > lost / x.size
    assert (layer["scale"], layer["min"], layer["max"], layer["bits_used"]) == (1.0, -16.0, 15.875, 8)


def test_an_accumulator_that_is_too_narrow_is_seen(path: Path, data: Path) -> None:
    ran = simulate(path, *FORMAT, "--data", data, "--accumulator", "q4.6:trn,wrap", "--json", "-")
    accumulator = ran.json["layers"][1]["accumulator"]
    assert accumulator["format"] == "q4.6:trn,wrap"
    assert accumulator["overflow_count"] > 0
    assert accumulator["proof"] != "cannot overflow"
    table = simulate(path, *FORMAT, "--data", data, "--accumulator", "q4.6:trn,wrap").out
    assert f"q4.6, {accumulator['overflow_count']} overflows" in table


def test_seconds_have_all_phases(path: Path, data: Path) -> None:
    seconds = simulate(path, *FORMAT, "--data", data, "--json", "-").json["seconds"]
    assert list(seconds) == ["import", "calibrate", "plan", "reference", "simulate"]
    assert all(number > 0 for number in seconds.values())


def test_without_labels_there_is_no_accuracy(path: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=samples())
    assert "accuracy" not in simulate(path, *FORMAT, "--data", tmp_path / "x.npz", "--json", "-").json


@pytest.mark.parametrize(("shape", "agrees"), [((), False), ((1,), False), ((3,), True)])
def test_agreement_needs_a_last_axis_of_more_than_one_entry(
    tmp_path: Path, shape: tuple[int, ...], agrees: bool
) -> None:
    # Every sample gives a scalar, a vector of one, or one of three numbers; the samples' own axis is none of these.
    nodes = [
        helper.make_node("ReduceSum", ["x", "axes"], ["s"], keepdims=0),
        helper.make_node("Reshape", ["s", "shape"], ["r"]),
        helper.make_node("Add", ["r", "three"], ["y"]),
    ]
    three = np.arange(math.prod(shape), dtype=np.float32).reshape(shape)
    constants = {"axes": np.array([0]), "shape": np.array([1] * len(shape), np.int64), "three": three}
    save(model(nodes, [floats("x", [4])], [floats("y", shape)], constants), tmp_path / "m.onnx")
    record = simulate(tmp_path / "m.onnx", *FORMAT, "--json", "-").json
    assert ("argmax_agreement" in record["outputs"]["y"]) == agrees


def test_a_ratio_that_is_infinite_is_null(tmp_path: Path) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["same"]), helper.make_node("Sub", ["same", "same"], ["zero"])]
    save(model(nodes, [floats("x", ["N", 4])], [floats("same", ["N", 4])]), tmp_path / "m.onnx")
    np.save(tmp_path / "x.npy", np.array([[0.5, 1.0, 2.0, 15.0]], np.float32))
    ran = simulate(tmp_path / "m.onnx", *FORMAT, "--data", tmp_path / "x.npy", "--json", "-")
    assert ran.json["outputs"]["same"]["sqnr_db"] is None
    assert ran.json["outputs"]["same"]["max_abs_error"] == 0.0
    assert ran.json["layers"][0]["sqnr_db"] is None
    assert ran.json["layers"][0]["max_abs_error"] == 0.0
    assert "exact" in simulate(tmp_path / "m.onnx", *FORMAT, "--data", tmp_path / "x.npy").out


@pytest.mark.parametrize("normalize", ["none", "pow2"])
def test_a_reference_that_is_not_finite_is_null(tmp_path: Path, normalize: str) -> None:
    # The first 256 samples calibrate; FP32 overflows in a later one.
    nodes = [helper.make_node("Exp", ["x"], ["y"])]
    save(model(nodes, [floats("x", ["N", 2])], [floats("y", ["N", 2])]), tmp_path / "m.onnx")
    x = np.zeros((300, 2), np.float32)
    x[280] = 100.0
    np.save(tmp_path / "x.npy", x)
    options = ("--normalize", normalize, "--data", tmp_path / "x.npy")
    record = simulate(tmp_path / "m.onnx", *FORMAT, *options, "--json", "-").json
    output = record["outputs"]["y"]
    assert (output["sqnr_db"], output["max_abs_error"]) == (None, None)
    assert simulate(tmp_path / "m.onnx", *FORMAT, *options).out


@pytest.mark.parametrize("text", ["q1100.-1092", "q-1100.1108", "q-60.68", "q70.-62"])
def test_a_point_far_away_is_no_trouble(path: Path, text: str) -> None:
    assert simulate(path, "--format", text, "--json", "-").json["outputs"]["y"]["sqnr_db"] > 30
    assert simulate(path, "--format", text).out


# Random data


def test_random_input_is_announced_in_the_first_line(path: Path) -> None:
    ran = simulate(path, *FORMAT)
    assert ran.out.splitlines()[0] == "no --data: random input (seed 0, 16 samples): uniform in [-1, 1)"
    assert ran.err == ""


def test_random_input_is_announced_on_standard_error_beside_json(path: Path) -> None:
    ran = simulate(path, *FORMAT, "--samples", "5", "--seed", "3", "--json", "-")
    assert ran.json["samples"] == 5
    assert ran.err.splitlines() == ["fxnorm: no --data: random input (seed 3, 5 samples): uniform in [-1, 1)"]


def test_random_input_follows_its_seed(path: Path) -> None:
    runs = [simulate(path, *FORMAT, "--seed", seed, "--json", "-").json["outputs"] for seed in (0, 0, 1)]
    assert runs[0] == runs[1] != runs[2]


def test_integer_inputs_are_indices(tmp_path: Path) -> None:
    nodes = [helper.make_node("Gather", ["table", "i"], ["y"], name="look")]
    table = np.linspace(-4, 4, 10, dtype=np.float32).reshape(5, 2)
    save(model(nodes, [integers("i", ["N", 3])], [floats("y", ["N", 3, 2])], {"table": table}), tmp_path / "m.onnx")
    record = simulate(tmp_path / "m.onnx", *FORMAT, "--json", "-").json
    assert record["layers"][0]["sqnr_db"] is None
    assert record["layers"][0]["max"] <= 4
    assert record["outputs"]["y"]["sqnr_db"] > 20


# Files


def test_archives_hold_all_samples_of_all_chunks(path: Path, tmp_path: Path) -> None:
    x = samples(1000)
    np.savez(tmp_path / "x.npz", x=x)
    files = tmp_path / "out.npz", tmp_path / "trace.npz"
    options = ("--outputs", files[0], "--trace", files[1])
    record = simulate(path, *FORMAT, "--data", tmp_path / "x.npz", *options, "--json", "-").json
    with np.load(files[0]) as outputs, np.load(files[1]) as trace:
        assert outputs["y.codes"].shape == trace["y.codes"].shape == (1000, 3)
        assert np.array_equal(outputs["y.codes"], trace["y.codes"])
        assert np.array_equal(outputs["y.values"], trace["y.values"])
        step = record["layers"][0]["scale"] / 8
        assert np.array_equal(trace["x.codes"], np.clip(np.floor(x.astype(np.float64) / step + 0.5), -128, 127))


def test_the_same_run_gives_the_same_files(path: Path, data: Path, tmp_path: Path) -> None:
    for name in ("one.npz", "two.npz"):
        simulate(path, *FORMAT, "--data", data, "--trace", tmp_path / name)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


@pytest.mark.parametrize(
    "name", ["/model/fc:0", "a/b/c", "../../evil", "a\x1b[31mb\n\x00c", "..", "ü %41 …", "a\\..\\b"]
)
def test_hostile_names_stay_names(tmp_path: Path, name: str) -> None:
    from urllib.parse import unquote

    save(dense(x=name + "in", y=name, name=name + "!"), tmp_path / "m.onnx")
    folder = tmp_path / "out"
    folder.mkdir()
    ran = simulate(tmp_path / "m.onnx", *FORMAT, "--trace", folder / "trace.npz", "--json", folder / "run.json")
    assert set(tree(folder)) == {"trace.npz", "run.json"}
    with np.load(folder / "trace.npz") as saved:
        assert {unquote(member) for member in saved.files} == {
            f"{value}.{kind}" for value in (name, name + "in") for kind in ("codes", "values")
        }
        for member in saved.files:
            assert member.isprintable()
            assert ".." not in member.replace("\\", "/").split("/")
            assert saved[member].shape in {(16, 3), (16, 4)}
    record = read_json((folder / "run.json").read_text())
    assert list(record["outputs"]) == [name]
    assert record["layers"][1]["name"] == name + "!"
    assert all(line.isprintable() for line in ran.out.splitlines())


def test_two_outputs_that_are_one_value(tmp_path: Path) -> None:
    proto = dense()
    proto.graph.node.append(helper.make_node("Identity", ["y"], ["again"]))
    proto.graph.output.append(floats("again", ["N", 3]))
    save(proto, tmp_path / "m.onnx")
    out = tmp_path / "out.npz"
    record = simulate(tmp_path / "m.onnx", *FORMAT, "--outputs", out, "--json", "-").json
    assert record["outputs"]["y"] == record["outputs"]["again"]
    with np.load(out) as saved:
        assert np.array_equal(saved["y.codes"], saved["again.codes"])


def test_more_values_than_a_process_may_have_files(tmp_path: Path) -> None:
    import resource

    names = [f"v{i}" for i in range(120)]
    nodes = [helper.make_node("Neg", [a], [b]) for a, b in zip(["x", *names], names, strict=False)]
    save(model(nodes, [floats("x", ["N", 2])], [floats(names[-1], ["N", 2])]), tmp_path / "m.onnx")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (60, limits[1]))
    try:
        simulate(tmp_path / "m.onnx", *FORMAT, "--trace", tmp_path / "t.npz")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    with np.load(tmp_path / "t.npz") as saved:
        assert len(saved.files) == 2 * 121


def test_a_file_that_is_there_is_replaced_whole(path: Path, data: Path, tmp_path: Path) -> None:
    target = tmp_path / "run.json"
    target.write_text("x" * 100_000)
    simulate(path, *FORMAT, "--data", data, "--json", target)
    assert read_json(target.read_text())["samples"] == 10


def test_a_link_stays_a_link(path: Path, data: Path, tmp_path: Path) -> None:
    (tmp_path / "real.json").write_text("")
    (tmp_path / "link.json").symlink_to("real.json")
    simulate(path, *FORMAT, "--data", data, "--json", tmp_path / "link.json")
    assert (tmp_path / "link.json").is_symlink()
    assert read_json((tmp_path / "real.json").read_text())["samples"] == 10


def test_a_device_is_written_to_and_not_replaced(path: Path, data: Path) -> None:
    simulate(path, *FORMAT, "--data", data, "--json", "/dev/null", "--outputs", "/dev/null")
    assert Path("/dev/null").is_char_device()


def test_new_files_have_the_rights_of_any_new_file(path: Path, data: Path, tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    simulate(path, *FORMAT, "--data", data, "--json", tmp_path / "a.json", "--trace", tmp_path / "t.npz")
    assert (tmp_path / "a.json").stat().st_mode == (tmp_path / "plain").stat().st_mode
    assert (tmp_path / "t.npz").stat().st_mode == (tmp_path / "plain").stat().st_mode


# Options


def test_options_from_a_file_and_the_command_line_wins(path: Path, data: Path, tmp_path: Path) -> None:
    config = tmp_path / "plan.toml"
    config.write_text(
        'format = "q4.4"\nrounding = "trn"\nweight-format = "q2.8"\nnormalize = "none"\n'
        '[layer."dense"]\noverflow = "wrap"\nformat = "q6.2"\n'
    )
    common = ("--data", data, "--json", "-")
    from_file = simulate(path, "--config", config, *common).json
    options = ("--rounding", "trn", "--weight-format", "q2.8", "--normalize", "none")
    layers = ("--layer", "dense:overflow=wrap", "--layer", "dense:format=q6.2")
    assert (
        from_file["plan"]["digest"]
        == simulate(path, "--format", "q4.4", *options, *layers, *common).json["plan"]["digest"]
    )
    assert from_file["layers"][1]["format"] == "q6.2:trn,wrap"
    mixed = simulate(path, "--config", config, "--format", "q5.3", "--layer", "d*:format=q7.1", *common).json
    assert mixed["plan"]["format"] == "q5.3:trn,sat"
    assert mixed["plan"]["normalize"] == "none"
    assert mixed["layers"][1]["format"] == "q7.1:trn,wrap"


def test_layers_of_a_pattern(path: Path, data: Path) -> None:
    record = simulate(path, *FORMAT, "--layer", "d?nse:format=q3.9", "--data", data, "--json", "-").json
    assert [layer["format"] for layer in record["layers"]] == ["q5.3", "q3.9"]


@pytest.mark.parametrize(
    "options",
    [
        ("--normalize", "none"),
        ("--rounding", "trn"),
        ("--overflow", "wrap"),
        ("--weight-format", "q3.3"),
        ("--accumulator", "q20.3"),
        ("--product-format", "q10.2"),
        ("--calibration", "percentile:80"),
        ("--layer", "dense:format=q6.2"),
        ("--layer", "x:normalize=none"),
    ],
    ids=" ".join,
)
def test_every_option_does_something(path: Path, data: Path, options: tuple[str, ...]) -> None:
    plain = simulate(path, *FORMAT, "--data", data, "--json", "-").json
    changed = simulate(path, *FORMAT, "--data", data, "--json", "-", *options).json
    assert changed["plan"]["digest"] != plain["plan"]["digest"]
    drop = {"seconds": 0, "plan": 0}
    if "--overflow" not in options:  # nothing overflows where data is normalized
        assert {**changed, **drop} != {**plain, **drop}


def test_batchnorm_stays_a_layer_where_that_is_asked_for(tmp_path: Path) -> None:
    vectors = {name: np.array(v, np.float32) for name, v in zip("gbmv", ([1, 2], [0, 1], [1, 0], [1, 4]), strict=True)}
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], name="conv"),
        helper.make_node("BatchNormalization", ["c", *"gbmv"], ["y"], name="bn"),
    ]
    constants = {**vectors, "w": np.ones((2, 3, 1, 1), np.float32)}
    save(model(nodes, [floats("x", ["N", 3, 4, 4])], [floats("y", ["N", 2, 4, 4])], constants), tmp_path / "m.onnx")
    ops = {
        how: [layer["op"] for layer in simulate(tmp_path / "m.onnx", *FORMAT, *given, "--json", "-").json["layers"]]
        for how, given in {
            "default": (),
            "fold": ("--batchnorm", "fold"),
            "rescale": ("--batchnorm", "rescale"),
        }.items()
    }
    assert ops["default"] == ops["fold"] == ["Input", "Conv+BatchNormalization"]
    assert ops["rescale"] == ["Input", "Conv", "BatchNormalization"]


def test_batch_and_free_dimensions(tmp_path: Path) -> None:
    nodes = [helper.make_node("ReduceMean", ["x"], ["y"], axes=[1], keepdims=1)]
    save(model(nodes, [floats("x", ["N", "T"])], [floats("y", ["N", 1])]), tmp_path / "m.onnx")
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32))
    options = ("--dim", "T=5", "--data", tmp_path / "x.npy", "--json", "-")
    assert simulate(tmp_path / "m.onnx", *FORMAT, *options).json["samples"] == 6
    assert simulate(tmp_path / "m.onnx", *FORMAT, *options, "--batch", "2").json["samples"] == 3


def test_separate_calibration_data(path: Path, data: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "loud.npz", x=samples() * 8)
    plain = simulate(path, *FORMAT, "--data", data, "--json", "-").json
    loud = simulate(path, *FORMAT, "--data", data, "--calibration-data", tmp_path / "loud.npz", "--json", "-").json
    assert loud["layers"][0]["scale"] == 8 * plain["layers"][0]["scale"]
    assert loud["plan"]["calibration"]["description"] == str(tmp_path / "loud.npz")
    assert loud["samples"] == plain["samples"] == 10


def test_the_first_256_samples_calibrate(path: Path, tmp_path: Path) -> None:
    x = samples(300)
    x[255] *= 100
    x[256] *= 10_000
    np.save(tmp_path / "x.npy", x)
    layer = simulate(path, *FORMAT, "--data", tmp_path / "x.npy", "--json", "-").json["layers"][0]
    largest = np.abs(x[:256]).max()
    assert largest / 16 <= layer["scale"] < largest / 4
    assert 0 < layer["overflow_count"] <= 4


def test_a_folder_of_files_is_one_data_set(path: Path, data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    for number, (x, labels) in enumerate(zip(np.split(samples(), 2), np.split(np.arange(10) % 3, 2), strict=True)):
        np.savez(folder / f"{number}.npz", x=x, labels=labels)
    whole = simulate(path, *FORMAT, "--data", data, "--json", "-").json
    parts = simulate(path, *FORMAT, "--data", folder, "--json", "-").json
    assert parts["samples"] == 10
    assert (parts["outputs"], parts["accuracy"]) == (whole["outputs"], whole["accuracy"])


# The table


def test_the_table_says_what_the_json_says(path: Path, data: Path) -> None:
    record = simulate(path, *FORMAT, "--data", data, "--json", "-").json
    text = simulate(path, *FORMAT, "--data", data).out
    assert "q5.3 (W=8 I=5 F=3; rounding rnd, overflow sat), normalize pow2" in text.splitlines()[0]
    assert record["plan"]["digest"][:16] in text
    for layer in record["layers"]:
        (line,) = [line for line in text.splitlines() if line.startswith(layer["name"] + " ")]
        assert f"{layer['sqnr_db']:.1f}" in line
        assert f"2^{round(math.log2(layer['scale']))}" in line
    accuracy = record["accuracy"]
    assert f"FP32 {accuracy['fp32']:.1%}, fixed point {accuracy['fixed']:.1%}" in text
    assert "compared with FP32 on 10 samples" in text


def test_a_pipe_gets_plain_lines_whatever_the_terminal(path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def text() -> str:
        return "\n".join(
            line for line in simulate(path, *FORMAT, "--data", data).out.splitlines() if "time:" not in line
        )

    plain = text()
    for name, value in {"COLUMNS": "40", "FORCE_COLOR": "1", "TERM": "dumb"}.items():
        monkeypatch.setenv(name, value)
    assert text() == plain
    assert "\x1b" not in plain
    assert all(line == line.rstrip() for line in plain.splitlines())


def test_hostile_names_do_not_reach_the_terminal(tmp_path: Path) -> None:
    evil = "\x1b]0;title\x07\x1b[2J\r\u202eevil\nfake: line"
    save(dense(name=evil, x=evil + "x", y=evil + "y"), tmp_path / "m.onnx")
    ran = simulate(tmp_path / "m.onnx", *FORMAT)
    assert all(line.isprintable() for line in ran.out.splitlines())
    assert not any(line.startswith("fake") for line in ran.out.splitlines())


def test_onnx_checks_the_small_models(tmp_path: Path) -> None:
    onnx.checker.check_model(dense())
