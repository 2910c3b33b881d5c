"""Options of the command line, in groups that commands share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

Option = Callable[[Any], Any]
Group = tuple[Option, ...]

PLAN: Group = (
    click.option(
        "--format",
        "format",
        metavar="FORMAT",
        help="Format of data, for example q5.3 (W=8, I=5 with the sign, F=3) or q5.3:rnd_conv,sat_sym.",
    ),
    click.option(
        "--weight-format",
        metavar="FORMAT",
        help="Format of constants, rounded to nearest even.  [default: that of data, signed]",
    ),
    click.option(
        "--accumulator",
        metavar="FORMAT",
        help="Accumulator, obeyed at every addition, for example q10.6:trn,wrap.  [default: the narrowest that cannot overflow]",
    ),
    click.option(
        "--product-format", metavar="FORMAT", help="Format of each product before it is added.  [default: exact]"
    ),
    click.option(
        "--rounding",
        metavar="MODE",
        help="trn, trn_zero, rnd, rnd_zero, rnd_inf, rnd_min_inf, rnd_conv or rnd_conv_odd.  [default: rnd]",
    ),
    click.option("--overflow", metavar="MODE", help="wrap, sat, sat_zero or sat_sym.  [default: sat]"),
    click.option(
        "--normalize",
        metavar="HOW",
        help="none (plain format), pow2 (a power of two per tensor, weights per channel) or affine (any scale and offset: "
        "a multiplier and an adder per output).  [default: pow2]",
    ),
    click.option(
        "--multiplier",
        metavar="HOW",
        help="For affine: channel (linear layers have a multiplier an output channel, and weights use their whole range) or tensor (one a "
        "layer, weights in steps of powers of two).  [default: channel]",
    ),
    click.option(
        "--calibration",
        metavar="HOW",
        help="How ranges are taken from data: minmax, percentile:P, mse or entropy.  [default: minmax]",
    ),
    click.option(
        "--batchnorm", metavar="HOW", help="fold (into weights) or rescale (a layer of its own).  [default: fold]"
    ),
    click.option(
        "--patterns",
        metavar="HOW",
        help="Normalizations and activations that are spelled out: fuse (into one layer each) or keep (as spelled).  [default: fuse]",
    ),
    click.option(
        "--input-transform",
        metavar="HOW",
        help="Nonlinear normalization of inputs over many decades: log, log2, log10, sqrt or power:P, for all of them or as NAME=log,…",
    ),
    click.option(
        "--norm-algorithm",
        metavar="HOW",
        help="How layer, instance, group, RMS and the like compute their moments: exact, two_pass or one_pass.  [default: exact]",
    ),
    click.option("--mean-format", metavar="FORMAT", help="Mean of a group in the last two.  [default: that of data]"),
    click.option(
        "--square-format", metavar="FORMAT", help="Each square there.  [default: twice the data's width, unsigned]"
    ),
    click.option(
        "--variance-format", metavar="FORMAT", help="Variance there.  [default: twice the data's width, unsigned]"
    ),
    click.option(
        "--root-format",
        metavar="FORMAT",
        help="1 / √(variance + ε) there.  [default: twice the data's width, unsigned]",
    ),
    click.option(
        "--layer",
        "layers",
        metavar="NAME:KEY=VALUE",
        multiple=True,
        help="An option for the layers of a name or glob pattern; repeatable.",
    ),
    click.option("--config", metavar="TOML", help="All of these from a file; the command line wins."),
)
MODEL: Group = (
    click.option("--batch", type=int, metavar="N", help="Size of the model's batch axis where it is free or wrong."),
    click.option(
        "--dim", "dims", metavar="NAME=SIZE", multiple=True, help="Size of another free dimension; repeatable."
    ),
)
DATA: Group = (
    click.option(
        "--data",
        metavar="FILE",
        help="Samples: .npz with arrays named as the inputs (and labels), .npy, or a folder of them.",
    ),
    click.option(
        "--calibration-data", metavar="FILE", help="Samples for calibration.  [default: the first 256 of --data]"
    ),
    click.option(
        "--samples",
        type=click.IntRange(min=1),
        metavar="N",
        help="How many random samples where there is no --data.  [default: 16]",
    ),
    click.option("--seed", type=click.IntRange(min=0), metavar="N", help="Seed of random samples.  [default: 0]"),
)


EMIT: Group = (
    click.option(
        "-o", "--output", required=True, metavar="DIR", help="Folder to write; its name becomes the top function's."
    ),
    click.option("--target", default="all", metavar="NAME", help="vitis, catapult or all.  [default: all]"),
    click.option(
        "--io",
        metavar="HOW",
        help="stream (blocks joined by channels) or parallel (one function on arrays).  [default: stream]",
    ),
    click.option(
        "--parallelism",
        multiple=True,
        metavar="N",
        help="Products a cycle of every layer: a number or full; LAYER=N for the layers of a name or pattern; repeatable.  "
        "[default: 1, with --io parallel full]",
    ),
    click.option("--clock", metavar="NS", help="Clock period in nanoseconds.  [default: 5]"),
    click.option("--part", metavar="PART", help="FPGA part for Vitis.  [default: xcu250-figd2104-2L-e]"),
    click.option(
        "--technology", metavar="LIBRARY", help="Technology library for Catapult.  [default: nangate-45nm_beh]"
    ),
    click.option(
        "--frames",
        type=click.IntRange(min=1),
        metavar="N",
        help="Samples for the testbench: random ones, or the first of --data.  [default: 50]",
    ),
    click.option("--json", "json_file", metavar="FILE", help="Write it as JSON; - is standard output."),
)
# Sizes of kernels by themselves; those that a kind does not have are refused by name.
SIZES: Group = (
    click.option("--length", metavar="N", help="Elements of a row: softmax, norms along rows, functions, rescale."),
    click.option("--rows", metavar="N", help="Rows.  [default: 1]"),
    click.option("--inputs", metavar="N", help="Of a dense layer."),
    click.option("--outputs", metavar="N", help="Of a dense layer."),
    click.option("--channels", metavar="N", help="Of images: conv, batchnorm, groupnorm, instancenorm."),
    click.option("--size", metavar="HxW", help="Extent of images, 28x28; 1 to 3 numbers."),
    click.option("--filters", metavar="N", help="Output channels of a convolution."),
    click.option("--kernel", metavar="KxK", help="Window of a convolution, 3 or 3x3."),
    click.option("--stride", metavar="S", help="Of a convolution, 2 or 2x1.  [default: 1]"),
    click.option("--padding", metavar="P", help="Zeros around its images on both sides, 1 or 1x0.  [default: 0]"),
    click.option("--dilation", metavar="D", help="Of its window.  [default: 1]"),
    click.option(
        "--groups",
        metavar="N",
        help="Of a convolution, or of a group normalization.  [default: 1, of a groupnorm none]",
    ),
    click.option("--epsilon", metavar="NUMBER", help="Of normalizations.  [default: 1e-5]"),
    click.option("--scale", metavar="NUMBER", help="Factor of a rescale.  [default: 1]"),
)
SIZE_NAMES = (
    "length", "rows", "inputs", "outputs", "channels", "size", "filters", "kernel", "stride", "padding", "dilation", "groups",
    "epsilon", "scale",
)  # fmt: skip
KERNEL_PLAN = (
    "format", "weight_format", "accumulator", "product_format", "rounding", "overflow", "normalize", "multiplier", "calibration",
    "norm_algorithm", "mean_format", "square_format", "variance_format", "root_format",
)  # fmt: skip


def some(options: Sequence[Option], names: Sequence[str]) -> Group:
    """Those of some parameter names, in the order in which they are."""

    def name(option: Option) -> str:
        def bearer() -> None:
            """Take one option."""

        option(bearer)
        (parameter,) = bearer.__click_params__  # type: ignore[attr-defined]
        return str(parameter.name)

    return tuple(option for option in options if name(option) in names)


GATE: Group = (
    click.option("--min-accuracy", type=float, metavar="SHARE", help="Fail below this share of right labels, 0.9."),
    click.option("--max-drop", type=float, metavar="SHARE", help="Fail where accuracy is further below FP32's, 0.01."),
    click.option("--min-sqnr", type=float, metavar="DB", help="Fail where an output's SQNR is lower."),
    click.option("--min-agreement", type=float, metavar="SHARE", help="Fail where fewer arg-max are FP32's."),
    click.option("--max-overflow", type=int, metavar="N", help="Fail where more values overflow, all layers together."),
    click.option(
        "--baseline", metavar="JSON", help="Fail below earlier results: results.json of a sweep, or simulate --json."
    ),
    click.option("--baseline-drop", type=float, metavar="SHARE", help="Accuracy that may be lost.  [default: 0]"),
    click.option("--baseline-sqnr-drop", type=float, metavar="DB", help="SQNR that may be lost.  [default: 0.1]"),
    click.option("--baseline-other-model", is_flag=True, help="The baseline may be of another model: trained anew."),
    click.option("--junit", metavar="FILE", help="Write the verdict as JUnit XML."),
    click.option("--summary", metavar="FILE", help='Write it as Markdown, for instance to "$GITHUB_STEP_SUMMARY".'),
    click.option("--annotations", is_flag=True, help="Print violations as GitHub's annotations."),
)

DASK = click.option(
    "--dask", metavar="ADDRESS", help="Run on a Dask cluster instead: its scheduler, for example tcp://10.0.0.5:8786."
)


def with_options(*groups: Group) -> Option:
    """Decorator that gives a command the options of some groups, in their order."""

    def decorate(command: Any) -> Any:
        for group in reversed(groups):
            for option in reversed(group):
                command = option(command)
        return command

    return decorate
