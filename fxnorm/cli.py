"""The command line; with its options the only module that knows click."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from fxnorm import cli_options as options
from fxnorm.errors import FxnormError, GateError, UnsupportedError
from fxnorm.report.text import printable

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 110}
EXIT_CODES = (
    "Exit codes: 0 done, 1 a comparison failed, 2 wrong usage or bad input, 3 something unsupported, 130 interrupted."
)


class _Commands(click.Group):
    """Commands in the order in which they are written, the main job first."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all commands."""
        return list(self.commands)


@click.group(cls=_Commands, context_settings=CONTEXT, invoke_without_command=True, epilog=EXIT_CODES)
@click.version_option(package_name="fxnorm")
@click.pass_context
def cli(context: click.Context) -> None:
    """Bit-accurate fixed-point simulation of neural networks from ONNX, compared with FP32.

    The main job:  fxnorm simulate model.onnx --format q5.3 --data samples.npz
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        context.exit(2)


@cli.command(short_help="Calibrate, plan, run, compare with FP32: the main job.")
@click.argument("model", metavar="MODEL|PLAN")
@options.with_options(options.PLAN, options.MODEL, options.DATA, options.GATE)
@click.option("--model", "reference_model", metavar="FILE", help="With PLAN: the model, where it is not where it was.")
@click.option(
    "--json",
    "json_file",
    metavar="FILE",
    help="Write the result as JSON; - is standard output, and then nothing else is printed there.",
)
@click.option("--outputs", metavar="FILE.npz", help="Save the outputs as arrays NAME.codes and NAME.values.")
@click.option("--trace", metavar="FILE.npz", help="Save every value of the plan likewise.")
@click.option(
    "--attribution",
    is_flag=True,
    help="Measure what each inner stage of every normalization layer costs: mean, square, variance, root, scale, bias, requantization.",
)
def simulate(**given: Any) -> None:
    """Run MODEL in fixed point, bit by bit, and say how far it is from FP32, layer by layer.

    With a PLAN (a folder that `fxnorm plan` made) its decisions are run as they are.
    """
    from fxnorm.commands import simulate as run

    run(**given)


@cli.command(short_help="The decisions alone, as a folder.")
@click.argument("model", metavar="MODEL")
@options.with_options(options.PLAN, options.MODEL, options.DATA)
@click.option("-o", "--output", required=True, metavar="PLAN", help="Folder to write.")
@click.option(
    "--auto",
    is_flag=True,
    help="Measure none, pow2 and affine on the data, say what each layer should get and why, and write the plan that is worth it.",
)
@click.option("--json", "json_file", metavar="FILE", help="Write it as JSON; - is standard output.")
def plan(**given: Any) -> None:
    """Calibrate MODEL on data, take every fixed-point decision, and save them as the folder PLAN."""
    from fxnorm.commands import plan as run

    run(**given)


@cli.command(short_help="Many configurations, row by row into a run folder: how many bits are needed.")
@click.argument("model", metavar="MODEL")
@click.option(
    "--width", metavar="LIST", help="Widths of signed formats: 8, 4:16 or 4:16:2, several separated by commas."
)
@click.option(
    "--integer-bits",
    metavar="LIST",
    help="Integer bits of these, with the sign.  [default: those that hold every value of the calibration data]",
)
@click.option("--formats", "--format", "formats", metavar="LIST", help="Formats instead, for example q3.3,q4.4,q5.3.")
@options.with_options(options.PLAN[1:], options.MODEL, options.DATA, options.GATE)
@click.option(
    "--gate-on",
    metavar="KEY=VALUE",
    multiple=True,
    help="The gate is for these configurations only, for example format=q5.3; repeatable.  [default: for all]",
)
@click.option("-o", "--output", required=True, metavar="RUN", help="Run folder, new or interrupted.")
@click.option(
    "--workers", type=click.IntRange(min=1), metavar="N", help="Configurations at a time.  [default: the cores]"
)
@options.DASK
@click.option("--json", "json_file", metavar="FILE", help="Write the results as JSON; - is standard output.")
@click.pass_obj
def sweep(words: Sequence[str], /, **given: Any) -> None:
    """Run MODEL in many fixed-point configurations and compare each with FP32.

    Options of a plan take alternatives, separated by commas ("default" is an option that is not given); every combination is a
    configuration. Results go into the folder RUN row by row: the same command goes on where it was interrupted.
    """
    from fxnorm.sweep_commands import sweep as run

    run(words=words, **given)


@cli.command(short_help="The cheapest plan that meets a gate: widths layer by layer.")
@click.argument("model", metavar="MODEL")
@click.option("--width", default="4:16", metavar="LIST", help="Widths that layers choose from.  [default: 4:16]")
@click.option(
    "--integer-bits",
    type=click.IntRange(-32, 32),
    metavar="N",
    help="Integer bits of all formats, with the sign.  [default: those that hold every value of the calibration data]",
)
@click.option(
    "--narrower",
    default="0",
    metavar="LIST",
    help="Bits by which accumulators may be narrower than what never overflows, 0:3; they saturate then.  [default: 0]",
)
@options.with_options(options.PLAN[1:], options.MODEL, options.DATA, options.GATE[:5])
@click.option(
    "--cost",
    multiple=True,
    metavar="NAME",
    help="What is to be small: full_adders, multiplier_area, memory_bits, dsp, lut, bram18, interval, latency, …; repeatable, the "
    "first one decides.  [default: full_adders]",
)
@click.option(
    "--trials", type=click.IntRange(min=0), default=100, metavar="N", help="Plans that Optuna proposes.  [default: 100]"
)
@click.option(
    "--search-seed", type=click.IntRange(min=0), default=0, metavar="N", help="Seed of the proposals.  [default: 0]"
)
@click.option(
    "--storage", metavar="URL", help="Database that several machines share.  [default: a file in the run folder]"
)
@click.option("-o", "--output", required=True, metavar="RUN", help="Run folder, new or interrupted.")
@click.option("--workers", type=click.IntRange(min=1), metavar="N", help="Plans at a time.  [default: the cores]")
@options.DASK
@click.option("--json", "json_file", metavar="FILE", help="Write what was found as JSON; - is standard output.")
@click.pass_obj
def search(words: Sequence[str], /, **given: Any) -> None:
    """Look for the cheapest plan of MODEL that meets a gate, a width for every layer.

    --normalize takes several modes, separated by commas, and every layer chooses its own. The plans that no other one beats go into
    RUN/plans, ready for simulate and emit. Exit code 1 if no plan meets the gate.
    """
    from fxnorm.search_commands import search as run

    click.get_current_context().exit(run(words=words, **given))


@cli.command(short_help="A run as a page with charts, as Markdown, or as figures for papers.")
@click.argument("run", metavar="RUN|JSON")
@click.option("-o", "--output", metavar="FILE", help="Report to write: one HTML file that loads nothing, or Markdown.")
@click.option("--format", "format", metavar="KIND", help="html or md.  [default: by the name of the file]")
@click.option("--plots", metavar="DIR", help="Write every chart as SVG and PNG.")
@click.option("--min-accuracy", type=float, metavar="SHARE", help="Draw a gate: accuracy at least, for example 0.9.")
@click.option("--max-drop", type=float, metavar="SHARE", help="Accuracy lost against FP32 at most.  [default: 0.01]")
@click.option("--min-sqnr", type=float, metavar="DB", help="SQNR of the worst output at least.")
@click.option("--min-agreement", type=float, metavar="SHARE", help="Share of FP32's arg-max at least.")
@click.option("--max-overflow", type=click.IntRange(min=0), metavar="N", help="Overflows at most.")
def report(**given: Any) -> None:
    """Show what is in the folder RUN of a sweep, finished or not, or in a file of `simulate --json`.

    Limits are drawn in and named; they do not change the exit code.
    """
    from fxnorm.report_commands import report as run

    run(**given)


@cli.command(short_help="C++ for high-level synthesis, as a folder.")
@click.argument("model", metavar="MODEL|PLAN")
@options.with_options(options.PLAN, options.MODEL, options.DATA)
@options.with_options(options.EMIT)
@click.option(
    "--weights",
    "--weight-storage",
    "weights",
    multiple=True,
    metavar="WHERE",
    help="Of dense layers and convolutions: rom (tables in the design) or port (arrays that the top function is given); LAYER=port for the "
    "layers of a name or pattern; repeatable.  [default: rom]",
)
def emit(**given: Any) -> None:
    """Write a project of synthesizable C++ that computes the bits of MODEL in fixed point, or those of a PLAN.

    The project holds sources, scripts and a self-checking testbench for AMD Vitis HLS and Siemens Catapult.
    """
    from fxnorm.hls_commands import emit as run

    run(**given)


@cli.command(short_help="One block alone as C++: layernorm, softmax, dense, conv, …")
@click.argument("kind", metavar="KIND")
@options.with_options(options.some(options.PLAN, options.KERNEL_PLAN))
@click.option("--input-format", metavar="FORMAT", help="Format of the input.  [default: that of --format]")
@options.with_options(options.SIZES)
@click.option("--weights", metavar="FILE.npz", help="Parameters, as arrays by name.  [default: drawn ones]")
@click.option(
    "--weight-storage",
    multiple=True,
    metavar="WHERE",
    help="Of dense and conv: rom (tables in the design) or port (an array that the top function is given).  [default: rom]",
)
@click.option(
    "--data", metavar="FILE", help="Samples of x, .npz or .npy, for ranges and the testbench.  [default: random]"
)
@click.option("--seed", type=click.IntRange(min=0), metavar="N", help="Seed of what is random.  [default: 0]")
@options.with_options(options.EMIT)
def kernel(**given: Any) -> None:
    """Write a project of one block with its testbench, for engineers who build their own accelerator.

    KIND is dense, conv, batchnorm, layernorm, rmsnorm, groupnorm, instancenorm, softmax, logsoftmax, rescale, or a function: sigmoid,
    tanh, gelu, swish, mish, softplus, softsign, elu, selu, celu, erf, exp, log, sqrt, reciprocal. Formats are plain unless --normalize
    says otherwise.
    """
    from fxnorm.kernel_commands import kernel as run

    sizes = {name: given.pop(name) for name in options.SIZE_NAMES}
    run(sizes=sizes, **given)


@cli.command(short_help="Compile emitted C++ with g++ and compare every code.")
@click.argument("project", metavar="PROJECT")
@click.option(
    "--target", multiple=True, metavar="NAME", help="vitis or catapult; repeatable.  [default: all in the project]"
)
@click.option("--include", multiple=True, metavar="DIR", help="Folder with the vendor's headers; repeatable.")
@click.option("--layers", is_flag=True, help="Compare every layer, and name the first that differs.")
@click.option(
    "--shrink",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Where codes differ, look so long for the smallest input that shows it; 0 does not look.  [default: 20]",
)
@click.option(
    "--jobs", type=click.IntRange(min=1), metavar="N", help="Compilers at a time.  [default: the processor's cores]"
)
@click.option("--json", "json_file", metavar="FILE", help="Write it as JSON; - is standard output.")
def cosim(**given: Any) -> None:
    """Compile both flavours of an emitted PROJECT with g++, run them, and compare every output code with the simulator's.

    Exit code 1 if any differs.
    """
    from fxnorm.hls_commands import cosim as run

    click.get_current_context().exit(run(**given))


@cli.command(short_help="What is in a model or a plan.")
@click.argument("model", metavar="MODEL|PLAN")
@click.option(
    "--accumulators",
    is_flag=True,
    help="What every accumulator can reach, how wide it has to be, and an input that overflows one that was chosen too narrow.",
)
@options.with_options(options.PLAN, options.MODEL, options.DATA)
@click.option(
    "--parallelism",
    multiple=True,
    metavar="N",
    help="Of a PLAN: estimate a design with so many products a cycle, as for `emit`; repeatable.",
)
@click.option("--io", metavar="HOW", help="Of a PLAN: estimate a design of stream or parallel, as for `emit`.")
@click.option("--json", "json_file", metavar="FILE", help="Write it as JSON; - is standard output.")
def inspect(**given: Any) -> None:
    """Print what is in a model or a plan: inputs, outputs, layers, sizes, and what is not supported.

    With --accumulators a MODEL takes the options of `fxnorm plan`, and those of the plan that would be made are shown.
    """
    from fxnorm.plan_commands import inspect as run

    run(**given)


@cli.command(short_help="A plan as an ONNX file that any runtime computes to the bit.")
@click.argument("model", metavar="MODEL|PLAN")
@click.option(
    "--exact-onnx",
    is_flag=True,
    help="Standard operators alone, in floating point and 64-bit integers where these are exact.",
)
@options.with_options(options.PLAN, options.MODEL, options.DATA)
@click.option("-o", "--output", required=True, metavar="FILE.onnx", help="File to write.")
@click.option("--json", "json_file", metavar="FILE", help="Write what is in it as JSON; - is standard output.")
def export(**given: Any) -> None:
    """Write MODEL in fixed point, or a PLAN, as an ONNX file whose outputs in onnxruntime are the simulator's, bit by bit.

    What exact arithmetic of ONNX operators cannot hold is refused, every layer with its reason.
    """
    from fxnorm.plan_commands import export as run

    run(**given)


@cli.command(short_help="Which ONNX operators are supported.")
@click.option("--json", "json_file", metavar="FILE", help="Write the list as JSON; - is standard output.")
def ops(**given: Any) -> None:
    """List the ONNX operators that fxnorm runs, and how."""
    from fxnorm.commands import ops as run

    run(**given)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit.

    0 done, 1 a comparison failed, 2 wrong usage or bad input, 3 something unsupported, 130 interrupted.

    Parameters
    ----------
    arguments
        Words of the command line without the program's name; default: those of the process.
    """
    _prepare_streams()
    code = _run(sys.argv[1:] if arguments is None else list(arguments))
    try:
        sys.stdout.flush()
    except OSError as error:
        # What is left in the buffer has to go somewhere, or the interpreter complains on its way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            _fail(f"standard output: cannot be written: {error.strerror or error}")
            code = code or 2
    sys.exit(code)


def _run(arguments: list[str]) -> int:
    """Exit code of a command line."""
    try:
        # Not cli.main: that one gives a closed pipe the exit code of a failed comparison.
        with cli.make_context("fxnorm", list(arguments), obj=tuple(arguments)) as context:
            cli.invoke(context)
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        context_ = getattr(error, "ctx", None)
        path = context_.command_path if context_ is not None else "fxnorm"
        _fail(f"{error.format_message().rstrip('.')}; see `{path} --help`")
        return 2
    except (UnsupportedError, GateError) as error:
        _fail(str(error).splitlines()[0])
        for reason in error.reasons:
            click.echo(f"  {printable(reason)}", err=True)
        return error.exit_code
    except FxnormError as error:
        _fail(str(error))
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        _fail("interrupted")
        return 130
    except BrokenPipeError:
        return 0  # whoever read the output has enough of it
    except OSError as error:
        _fail(f"{error.filename or 'standard output'}: {error.strerror or error}")
        return 2
    except RecursionError:
        _fail("input: is nested more deeply than any model or plan; make the file again")
        return 2
    except MemoryError:
        _fail("memory: the model or its data need more than this machine has")
        return 2
    return 0


def _prepare_streams() -> None:
    """Standard streams that are there and never fail on a character: a model's text is anything."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by whoever started the program
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  it lives as long as the process
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace" if name == "stdout" else "backslashreplace")


def _fail(message: str) -> None:
    click.echo(f"fxnorm: error: {printable(message)}", err=True)


if __name__ == "__main__":
    main()
