"""Plans as folders: nothing is lost, nothing damaged is taken, nothing half is left behind."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import shutil
import zipfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from oracles import networks

import fxnorm as fx
from fxnorm.errors import PlanError
from fxnorm.kernels.catalog import KERNELS, PARTS
from fxnorm.planning import storage

PLANS = {
    "all kernels": (networks.every_kernel, {"format": "q4.4", "batchnorm": "rescale"}),
    "wide": (networks.every_kernel, {"format": "q6.14", "layers": ["scaled:format=uq3.17"]}),
    "widest": (networks.dense, {"format": "q16.16", "accumulator": "q40.60"}),
    "accumulators": (
        networks.every_kernel,
        {"format": "q4.4", "accumulator": "q5.5:trn,wrap", "product_format": "q3.6", "normalize": "none"},
    ),
    "affine": (networks.every_kernel, {"format": "q5.3", "normalize": "affine"}),
    "normalizations": (networks.normalizations, {"format": "q4.8"}),
    "staged normalizations": (networks.normalizations, {"format": "q4.8", "norm_algorithm": "two_pass"}),
    "masked": (networks.masked, {"format": "q4.6"}),
    "clips": (networks.clipped, {"format": "q4.4", "normalize": "none"}),
}


def inputs_of(make):
    """Some samples of a network."""
    return networks.samples(6) if make is networks.every_kernel else networks.samples(6, proto=make())


@pytest.fixture(scope="module", params=list(PLANS))
def plan(request):
    make, options = PLANS[request.param]
    graph = fx.load(make())
    return fx.plan(graph, fx.calibrate(graph, inputs_of(make)), **options), inputs_of(make)


@pytest.fixture(scope="module")
def network():
    graph = fx.load(networks.every_kernel())
    return graph, fx.calibrate(graph, networks.samples(6))


@pytest.fixture
def folder(network, tmp_path):
    """A saved plan."""
    graph, ranges = network
    return fx.save_plan(fx.plan(graph, ranges, "q4.4", batchnorm="rescale"), tmp_path / "plan")


def test_a_plan_comes_back_as_it_was(plan, tmp_path):
    """Digest, codes, counts, traces, words: all the same, and saved again it is the same bytes."""
    made, given = plan
    back = fx.load_plan(fx.save_plan(made, tmp_path / "a"))
    assert back.digest == made.digest
    assert (back.inputs, back.integer_inputs, back.outputs, back.options) == (
        made.inputs,
        made.integer_inputs,
        made.outputs,
        made.options,
    )
    assert (back.model_path, back.model_sha256, back.data, back.data_sha256) == (
        made.model_path,
        made.model_sha256,
        made.data,
        made.data_sha256,
    )
    assert back.values == made.values
    assert back.format == made.format
    assert [(a.name, a.op, a.inputs, a.output, a.traced, type(a.kernel)) for a in back.layers] == [
        (a.name, a.op, a.inputs, a.output, a.traced, type(a.kernel)) for a in made.layers
    ]
    one, two = fx.simulate(made, given, trace=True), fx.simulate(back, given, trace=True)
    for name in made.values:
        assert np.array_equal(one.traces[name].codes, two.traces[name].codes)
        assert one.reports[name].usage == two.reports[name].usage
    fx.save_plan(back, tmp_path / "b")
    for file in ("plan.json", "arrays.npz"):
        assert content(tmp_path / "a" / file) == content(tmp_path / "b" / file)


def content(path):
    """Content of a file of a plan; archives hold the times at which they were written."""
    if path.suffix != ".npz":
        return path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def test_every_kernel_and_every_part_is_in_some_plan():
    """So that a kernel that is added without a way to a file and back is noticed here."""
    seen = set()

    def visit(thing):
        if isinstance(thing, dict):
            seen.add(thing.get("class"))
            for value in thing.values():
                visit(value)
        elif isinstance(thing, list):
            for value in thing:
                visit(value)

    for make, options in PLANS.values():
        graph = fx.load(make())
        made = fx.plan(graph, fx.calibrate(graph, inputs_of(make)), **options)
        visit(json.loads(json.dumps(storage._content(made, storage.Encoder(storage._CLASSES)))))
    assert {cls.__name__ for cls in KERNELS} <= seen
    missing = {cls.__name__ for cls in PARTS} - seen
    # Moves, factors, masks and input transforms that these networks do not need.
    assert missing <= {"Reshape", "Take", "Spread", "Broadcast", "Combination", "Mask", "Line"}


def test_moves_and_factors_come_back_too(tmp_path):
    nodes = [
        networks.node("Reshape", "x shape", "reshaped"),
        networks.node("Gather", "reshaped indices", "taken", axis=1),
        networks.node("Expand", "taken wide", "expanded"),
        networks.node("ConvTranspose", "expanded w", "up", strides=[2], kernel_shape=[2]),
        networks.node("ReduceMean", "up last", "flat", keepdims=0),
        networks.node("Gemm", "flat flat", "y", transB=1, alpha=0.3),
    ]
    constants = {
        "shape": np.array([1, 6, 1]),
        "indices": np.array([5, 0, 0]),
        "wide": np.array([1, 3, 4]),
        "w": networks.weights(0, 3, 2, 2),
        "last": np.array([2]),
    }
    proto = networks.model(nodes, [("x", [1, 6])], [("y", [1, 1])], constants)
    graph = fx.load(proto)
    given = networks.samples(5, proto=proto)
    made = fx.plan(graph, fx.calibrate(graph, given), "q4.6")
    text = json.dumps(storage._content(made, storage.Encoder(storage._CLASSES)))
    assert all(f'"class": "{name}"' in text for name in ("Reshape", "Take", "Broadcast", "Spread", "Combination"))
    back = fx.load_plan(fx.save_plan(made, tmp_path / "plan"))
    assert back.digest == made.digest
    assert np.array_equal(fx.simulate(back, given)["y"].codes, fx.simulate(made, given)["y"].codes)


def test_the_digest_does_not_depend_on_where_things_are(network, tmp_path):
    graph, ranges = network
    made = fx.plan(graph, ranges, "q4.4")
    assert fx.plan(graph, ranges, "q4.4").digest == made.digest
    assert replace(made, model_path="/elsewhere/model.onnx", data="other words").digest == made.digest
    one, two = fx.save_plan(made, tmp_path / "one"), fx.save_plan(made, tmp_path / "deep" / "er" / "two")
    assert fx.load_plan(one).digest == fx.load_plan(two).digest == made.digest
    shutil.move(one, tmp_path / "three")
    assert fx.load_plan(tmp_path / "three").digest == made.digest


def test_the_digest_depends_on_every_decision(network):
    graph, ranges = network
    made = fx.plan(graph, ranges, "q4.4")
    digests = {made.digest}
    choices = [
        {"format": "q5.3"},
        {"format": "q4.4:trn"},
        {"format": "q4.4", "normalize": "none"},
        {"format": "q4.4", "layers": ["conv:overflow=wrap"]},
    ]
    digests |= {fx.plan(graph, ranges, **choice).digest for choice in choices}
    # One weight, one bias, one shift, one name, one hash.
    first = made.layers[0]
    weights = first.kernel.weights.copy()
    weights.flat[0] += 1
    bias = first.kernel.bias.copy()
    bias[-1] -= 1
    stage = replace(first.kernel.stage, shift=np.asarray(first.kernel.stage.shift) + 1)
    for kernel in (
        replace(first.kernel, weights=weights),
        replace(first.kernel, bias=bias),
        replace(first.kernel, stage=stage),
    ):
        digests.add(replace(made, layers=(replace(first, kernel=kernel), *made.layers[1:])).digest)
    digests.add(replace(made, layers=(replace(first, name="other"), *made.layers[1:])).digest)
    digests.add(replace(made, model_sha256="0" * 64).digest)
    digests.add(replace(made, data_sha256="0" * 64).digest)
    value = made.values["scores"]
    encoding = replace(value.encoding, exponent=value.encoding.exponent + 1)
    digests.add(replace(made, values={**made.values, "scores": replace(value, encoding=encoding)}).digest)
    assert len(digests) == 1 + len(choices) + 7


# What is damaged


def edit(folder, change, *, sign=True):
    """Change the content of plan.json; with a digest that fits the change, as an attacker would."""
    path = folder / "plan.json"
    plain = json.loads(path.read_text())
    plain.pop("digest")
    plain = change(plain) or plain
    if sign and isinstance(plain, dict):
        plain["digest"] = storage._digest(plain)
    path.write_text(json.dumps(plain))


def first_layer(change):
    """Change of the first layer's plain data."""

    def apply(plain):
        change(plain["layers"][0])

    return apply


def refused(folder, message=None):
    """Loading must fail with the one kind of error that users see."""
    with pytest.raises(PlanError, match=message) as caught:
        fx.load_plan(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("file", ["plan.json", "arrays.npz"])
def test_a_missing_file(folder, file):
    (folder / file).unlink()
    refused(folder)


@pytest.mark.parametrize("file", ["plan.json", "arrays.npz"])
@pytest.mark.parametrize("keep", [0, 1, 100, -2, -40])
def test_a_file_that_was_cut_short(folder, file, keep):
    path = folder / file
    path.write_bytes(path.read_bytes()[:keep])
    refused(folder)


def test_nothing_there(tmp_path):
    refused(tmp_path / "nothing")
    refused(tmp_path)
    (tmp_path / "file").write_text("no folder")
    refused(tmp_path / "file")


def test_any_digit_of_a_plan_that_changes(folder):
    """Every decision stands under the digest: each number of the file, changed by one, is noticed."""
    path = folder / "plan.json"
    text = path.read_text()
    digits = [
        i
        for i, c in enumerate(text)
        if c.isdigit() and text[i - 1] in " [-" and "model_path" not in text[max(0, i - 60) : i]
    ]
    rng = np.random.default_rng(0)
    for i in rng.choice(digits, 60, replace=False):
        path.write_text(text[:i] + str((int(text[i]) + 1) % 10) + text[i + 1 :])
        refused(folder)
    path.write_text(text)
    fx.load_plan(folder)


def test_any_byte_of_an_array_that_changes(folder):
    """Bytes of data, of NumPy's headers and of the archive's: either they mean nothing, or the plan is refused."""
    path = folder / "arrays.npz"
    whole = path.read_bytes()
    digest = fx.load_plan(folder).digest
    with zipfile.ZipFile(path) as archive:
        information = archive.infolist()
    # Headers of a member and of the directory byte by byte, data here and there.
    rng = np.random.default_rng(1)
    places = {*range(information[0].header_offset, information[0].header_offset + 190)}
    places |= {*range(len(whole) - 90, len(whole))}
    places |= set(rng.choice(len(whole), 60, replace=False).tolist())
    refusals = 0
    for i, flip in zip(sorted(places), rng.choice([0x01, 0x10, 0x80, 0xFF], len(places)).tolist(), strict=True):
        path.write_bytes(whole[:i] + bytes([whole[i] ^ flip]) + whole[i + 1 :])
        try:
            back = fx.load_plan(folder)
        except PlanError:
            refusals += 1
        else:
            assert back.digest == digest
    assert refusals > 0.5 * len(places)


@pytest.mark.parametrize(
    "change",
    [
        lambda plain: plain.update(version=0),
        lambda plain: plain.update(version=99),
        lambda plain: plain.update(version="1"),
        lambda plain: plain.pop("version") and None,
        lambda plain: plain.pop("layers") and None,
        lambda plain: plain.pop("values") and None,
        lambda plain: plain.update(values=[]),
        lambda plain: plain.update(values={"x": 3}),
        lambda plain: plain.update(outputs=3),
        lambda plain: plain.update(inputs=None),
        lambda plain: plain.update(layers="abc"),
        lambda plain: plain.update(layers={"class": "Plan"}),
        lambda plain: [1, 2],
        lambda plain: "text",
        lambda plain: 5,
        first_layer(lambda layer: layer["kernel"].update({"class": "System"})),
        first_layer(lambda layer: layer["kernel"].update({"class": "os.system"})),
        first_layer(lambda layer: layer["kernel"].update({"class": ["Linear"]})),
        first_layer(lambda layer: layer["kernel"].update({"class": {"class": "Linear"}})),
        first_layer(lambda layer: layer["kernel"].update({"class": None})),
        first_layer(lambda layer: layer["kernel"].update({"class": "MatMul"})),
        first_layer(lambda layer: layer["kernel"].pop("class") and None),
        first_layer(lambda layer: layer["kernel"].pop("bias") and None),
        first_layer(lambda layer: layer["kernel"].update(extra=1)),
        first_layer(lambda layer: layer["kernel"]["weights"].update(array="a99999")),
        first_layer(lambda layer: layer["kernel"]["weights"].update(array=7)),
        first_layer(lambda layer: layer["kernel"]["weights"].update(shape=[1])),
        first_layer(lambda layer: layer["kernel"]["weights"].update(sha256="0" * 64)),
        first_layer(lambda layer: layer["kernel"]["weights"].pop("sha256") and None),
        first_layer(lambda layer: layer["kernel"].update(bias={"integers": ["x"], "shape": [1]})),
        first_layer(lambda layer: layer["kernel"].update(bias={"integers": ["1", "2"], "shape": [3]})),
        first_layer(lambda layer: layer["kernel"].update(bias={"integers": 5, "shape": [3]})),
        first_layer(lambda layer: layer["kernel"].update(bias={"integers": ["9" * 5000], "shape": [1]})),
        first_layer(lambda layer: layer["kernel"]["accumulator"].update(width=0)),
        first_layer(lambda layer: layer["kernel"]["accumulator"].update(width="wide")),
        first_layer(lambda layer: layer["kernel"]["accumulator"].update(rounding="up")),
        first_layer(lambda layer: layer["kernel"]["stage"]["output"].update(overflow=None)),
    ],
)
def test_an_edited_plan_whose_digest_was_made_to_fit(folder, change):
    edit(folder, change)
    refused(folder)


def test_an_edited_plan_whose_digest_does_not_fit(folder):
    edit(folder, lambda plain: plain["options"].update(format="q5.3"), sign=False)
    refused(folder, "digest")
    (folder / "plan.json").write_text('{"version": 1}')
    refused(folder)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[" * 100_000 + "]" * 100_000,
        "null",
        "\x00\x01",
        '{"version": 1, "digest": NaN}',
        '{"a": ' * 5_000 + "1" + "}" * 5_000,
    ],
)
def test_a_plan_that_is_no_json(folder, text):
    (folder / "plan.json").write_text(text)
    refused(folder)


def test_a_plan_that_is_no_text(folder):
    (folder / "plan.json").write_bytes(b"\xff\xfe" * 100)
    refused(folder)


class Bomb:
    """Whatever unpickles this runs it."""

    def __reduce__(self):
        return os.mkdir, (os.environ["PLAN_BOMB"],)


@pytest.mark.parametrize("how", ["object array", "pickle file", "renamed pickle"])
def test_pickles_are_never_opened(folder, how, tmp_path, monkeypatch):
    mark = tmp_path / "exploded"
    monkeypatch.setenv("PLAN_BOMB", str(mark))
    path = folder / "arrays.npz"
    with np.load(path) as stored:
        arrays = dict(stored)
    if how == "object array":
        bomb = np.empty(1, dtype=object)
        bomb[0] = Bomb()
        arrays["a00000"] = bomb
        np.savez(path, **arrays)
    elif how == "pickle file":
        path.write_bytes(pickle.dumps(Bomb()))
    else:
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("a99999", pickle.dumps(Bomb()))
        edit(folder, first_layer(lambda layer: layer["kernel"]["weights"].update(array="a99999")))
    refused(folder)
    assert not mark.exists()


def test_an_array_of_the_right_bytes_and_another_type(folder):
    """The digest is over bytes: type and shape have to be checked as well."""
    path = folder / "arrays.npz"
    with np.load(path) as stored:
        arrays = dict(stored)
    name = next(key for key, array in arrays.items() if array.dtype == np.int8)
    np.savez(path, **{**arrays, name: arrays[name].view(np.uint8)})
    refused(folder, name)


def test_an_archive_that_is_encrypted_or_packed_in_another_way(folder):
    path = folder / "arrays.npz"
    buffer = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            new.writestr(info.filename, old.read(info))
    path.write_bytes(buffer.getvalue())
    fx.load_plan(folder)  # compressed is as good
    packed = buffer.getvalue()
    entry = packed.find(b"PK\x01\x02")  # in the directory: flags at 8, method at 10
    for offset, value in ((8, 1), (10, 99), (10, 12)):
        changed = bytearray(packed)
        changed[entry + offset] = value
        path.write_bytes(changed)
        refused(folder)


def test_damaged_compressed_data(folder):
    path = folder / "arrays.npz"
    with np.load(path) as stored:
        arrays = dict(stored)
    np.savez_compressed(path, **arrays)
    whole = path.read_bytes()
    for i in np.random.default_rng(2).choice(len(whole), 40, replace=False):
        path.write_bytes(whole[:i] + bytes([whole[i] ^ 0x55]) + whole[i + 1 :])
        with suppress(PlanError):
            fx.load_plan(folder)


# Writing


def snapshot(root):
    """Every file below a folder with the hash of its bytes."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(Path(root).rglob("*"))
        if path.is_file()
    }


FAILURES = {
    "json": ("pathlib.Path.write_bytes", 1),
    "arrays": ("pathlib.Path.write_bytes", 2),
    "first replace": ("os.replace", 1),
    "second replace": ("os.replace", 2),
}


# A new plan is put in its place by one step, an older one is put aside first.
@pytest.mark.parametrize(
    ("failure", "older"),
    [(name, older) for name in FAILURES for older in (False, True) if older or name != "second replace"],
)
def test_a_write_that_fails_leaves_what_was_there(network, tmp_path, monkeypatch, failure, older):
    """No half folder, no scratch, and an older plan that stays what it was."""
    graph, ranges = network
    target = tmp_path / "out" / "plan"
    if older:
        fx.save_plan(fx.plan(graph, ranges, "q5.3"), target)
    else:
        target.parent.mkdir()
    before = snapshot(tmp_path)
    made = fx.plan(graph, ranges, "q4.4")
    where, at = FAILURES[failure]
    owner, name = where.rsplit(".", 1)
    module = {"pathlib.Path": Path, "os": os}[owner]
    original, calls = getattr(module, name), []

    def failing(*args, **kwargs):
        calls.append(args)
        if len(calls) == at:
            raise OSError(28, "No space left on device")
        return original(*args, **kwargs)

    monkeypatch.setattr(module, name, failing)
    with pytest.raises(PlanError, match="cannot be written: No space left on device"):
        fx.save_plan(made, target)
    monkeypatch.undo()
    assert snapshot(tmp_path) == before
    assert list((tmp_path / "out").iterdir()) == ([target] if older else [])
    fx.save_plan(made, target)
    assert fx.load_plan(target).digest == made.digest


def test_an_older_plan_is_replaced_whole(network, tmp_path):
    graph, ranges = network
    target = tmp_path / "plan"
    first, second = (fx.plan(graph, ranges, text) for text in ("q5.3", "q6.10"))
    fx.save_plan(first, target)
    fx.save_plan(second, target)
    assert fx.load_plan(target).digest == second.digest
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["arrays.npz", "plan", "plan.json"]


@pytest.mark.parametrize(
    "files",
    [{}, {"notes.txt": "mine"}, {"plan.json": '{"name": "shop"}', "notes.txt": "mine"}, {"plan.json": "no json"}],
)
def test_a_folder_of_somebody_else_is_never_replaced(network, tmp_path, files):
    """Also not one that happens to have a plan.json of its own."""
    graph, ranges = network
    target = tmp_path / "project"
    target.mkdir()
    for name, text in files.items():
        (target / name).write_text(text)
    before = snapshot(tmp_path)
    with pytest.raises(PlanError, match="choose another name"):
        fx.save_plan(fx.plan(graph, ranges, "q4.4"), target)
    assert snapshot(tmp_path) == before
    assert target.is_dir()


def test_a_file_is_never_replaced(network, tmp_path):
    graph, ranges = network
    target = tmp_path / "plan"
    target.write_text("mine")
    with pytest.raises(PlanError, match="choose another name"):
        fx.save_plan(fx.plan(graph, ranges, "q4.4"), target)
    assert target.read_text() == "mine"


def test_a_place_that_cannot_be_written(network, tmp_path):
    graph, ranges = network
    (tmp_path / "file").write_text("mine")
    with pytest.raises(PlanError, match="cannot be written"):
        fx.save_plan(fx.plan(graph, ranges, "q4.4"), tmp_path / "file" / "plan")
    assert (tmp_path / "file").read_text() == "mine"
