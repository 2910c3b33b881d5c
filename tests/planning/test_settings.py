"""Options from a TOML file: the command line wins, and everything wrong is refused by name."""

from __future__ import annotations

import pytest

from fxnorm.errors import UsageError
from fxnorm.planning.options import Options
from fxnorm.planning.settings import settings

COMPLETE = """
format = "q5.3"
weight-format = "q2.6"
accumulator = "q10.6:trn,wrap"
product-format = "q4.8"
rounding = "trn_zero"
overflow = "sat_sym"
normalize = "none"
calibration = "minmax"
batchnorm = "rescale"

[layer."conv*"]
format = "q8.8"
rounding = "rnd"

[layer."dense:0"]
accumulator = "q20.4"
"""


def write(tmp_path, text):
    path = tmp_path / "plan.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_with_everything(tmp_path):
    merged = settings({"config": write(tmp_path, COMPLETE)})
    assert merged == {
        "format": "q5.3",
        "weight_format": "q2.6",
        "accumulator": "q10.6:trn,wrap",
        "product_format": "q4.8",
        "rounding": "trn_zero",
        "overflow": "sat_sym",
        "normalize": "none",
        "calibration": "minmax",
        "batchnorm": "rescale",
        "layers": ("conv*:format=q8.8", "conv*:rounding=rnd", "dense:0:accumulator=q20.4"),
    }
    options = Options.make(**merged)
    assert options.policy("conv3").format.width == 16
    assert options.policy("dense:0").accumulator.width == 24


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("format", "q4.4"),
        ("weight_format", "q3.3"),
        ("rounding", "rnd"),
        ("overflow", "wrap"),
        ("normalize", "pow2"),
        ("batchnorm", "fold"),
    ],
)
def test_the_command_line_wins(tmp_path, name, value):
    path = write(tmp_path, COMPLETE)
    merged = settings({"config": path, name: value})
    assert merged == {**settings({"config": path}), name: value}


def test_what_is_not_given_on_the_command_line_does_not_win(tmp_path):
    path = write(tmp_path, COMPLETE)
    none = dict.fromkeys(("format", "weight_format", "accumulator", "rounding", "normalize", "layers"))
    assert settings({"config": path, **none}) == settings({"config": path})


def test_rules_of_the_command_line_come_last_and_so_win(tmp_path):
    merged = settings({"config": write(tmp_path, COMPLETE), "layers": ("conv*:format=q2.2",)})
    assert merged["layers"][-1] == "conv*:format=q2.2"
    assert Options.make(**merged).policy("conv1").format.width == 4


def test_without_a_file():
    assert settings({"format": "q5.3", "layers": ("a:rounding=trn",)}) == {
        "format": "q5.3",
        "layers": ("a:rounding=trn",),
    }


def test_underscores_and_hyphens_are_one(tmp_path):
    assert settings({"config": write(tmp_path, 'format = "q5.3"\nweight_format = "q1.2"')})["weight_format"] == "q1.2"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('format = "q5.3"\nwidth = 8', "no option 'width'; known are format, weight-format"),
        ("format = 5.3", "format must be a text in quotes, not 5.3"),
        ('format = ["q5.3"]', "format must be a text"),
        ('format = "q5.3"\n[rounding]\na = "b"', "rounding must be a text"),
        ('format = "q5.3"\nlayers = ["a:rounding=trn"]', "no option 'layers'"),
        ('format = "q5.3"\nlayer = "a:rounding=trn"', 'layer must be tables by name, \\[layer."conv\\*"\\]'),
        ('format = "q5.3"\n[layer]\nconv = "q5.3"', '\\[layer."conv"\\] must be a table'),
        ('format = "q5.3"\n[layer.conv]\nwidth = "8"', '\\[layer."conv"\\] takes format.*width'),
        ('format = "q5.3"\n[layer.conv]\nformat = 8', '\\[layer."conv"\\] takes .*format = 8'),
        ('format = "q5.3"\nformat = "q5.4"', "is not TOML"),
        ("format = q5.3", "is not TOML"),
        ("format", "is not TOML"),
        ('weight-format = "q5.3"', "--format: is missing"),
        ('format = "q5.3"\nweight-format = "q1.2"\nweight_format = "q1.3"', "weight.format"),
    ],
)
def test_wrong_files_are_refused_by_name(tmp_path, text, message):
    with pytest.raises(UsageError, match=message):
        settings({"config": write(tmp_path, text)})


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(UsageError, match=r"nowhere\.toml: cannot be read"):
        settings({"config": tmp_path / "nowhere.toml"})
    with pytest.raises(UsageError, match="cannot be read"):
        settings({"config": tmp_path})
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00format")
    with pytest.raises(UsageError, match="is not TOML"):
        settings({"config": binary})


def test_no_format_anywhere():
    with pytest.raises(UsageError, match=r"--format: is missing.*--format q5\.3"):
        settings({})
