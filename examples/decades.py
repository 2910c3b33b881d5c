"""How precisely a format holds numbers from 1e-12 to 1e12, decade by decade, with and without nonlinear normalization.

``make figures`` draws the result into docs/nonlinear.svg. A number is stored (rounded into the format, or through the integer datapath of
``--input-transform``), read back, and compared with itself; what counts is the largest relative error in a decade.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fxnorm.fixed.format import Format
from fxnorm.kernels.encoding import Encoding, fitting_exponent
from fxnorm.kernels.leading_one import words
from fxnorm.kernels.stage import Tally
from fxnorm.kernels.transform import Transformation

FIRST, LAST = -12, 12
PER_DECADE = 400
INVERSES: dict[str, Callable[[np.ndarray], np.ndarray]] = {"log": np.exp, "sqrt": np.square, "none": lambda x: x}


@dataclass(frozen=True)
class Curve:
    """Largest relative error in each decade of one way to hold numbers."""

    format: str
    transform: str
    errors: tuple[float, ...]

    @property
    def label(self) -> str:
        """What the legend says."""
        return f"{self.format}, {'plain' if self.transform == 'none' else self.transform}"


def decades() -> list[np.ndarray]:
    """Numbers of every decade, float32, evenly on a logarithmic scale."""
    steps = np.arange(PER_DECADE) / PER_DECADE
    return [(10.0 ** (start + steps)).astype(np.float32) for start in range(FIRST, LAST)]


def curve(format_: str, transform: str) -> Curve:
    """Store and read back; the scale is the power of two that fits all decades, as a plan chooses it."""
    parsed, groups = Format.parse(format_), decades()
    everything = np.concatenate(groups)
    function = None if transform == "none" else Transformation.parse(transform)
    model = everything if function is None else function.real(everything, "stress")
    encoding = Encoding(parsed, fitting_exponent(float(model.min()), float(model.max()), parsed))
    kernel = None if function is None else function.decide(encoding)
    errors = []
    for x in groups:
        codes = encoding.encode(x) if kernel is None else kernel.run([words(x)], Tally())
        back = INVERSES[transform](encoding.decode(codes))
        errors.append(float(np.max(np.abs(back - x.astype(np.float64)) / x)))
    return Curve(format_, transform, tuple(errors))


WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 70, 190, 20, 50
LOWEST, HIGHEST = -4, 0
COLOURS = ("#1b6ca8", "#1b6ca8", "#1b6ca8", "#c4572e", "#c4572e")
DASHES = ("", "7 4", "2 3", "", "7 4")


def drawing(curves: Sequence[Curve]) -> str:
    """The curves as SVG, both axes logarithmic."""
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM

    def x(decade: float) -> float:
        return LEFT + (decade - FIRST) / (LAST - FIRST) * (right - LEFT)

    def y(error: float) -> float:
        place = min(max(np.log10(error), LOWEST), HIGHEST)
        return float(bottom - (place - LOWEST) / (HIGHEST - LOWEST) * (bottom - TOP))

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
    ]
    for decade in range(FIRST, LAST + 1, 3):
        parts.append(f'<line x1="{x(decade):.1f}" y1="{TOP}" x2="{x(decade):.1f}" y2="{bottom}" stroke="#ddd"/>')
        parts.append(f'<text x="{x(decade):.1f}" y="{bottom + 18}" text-anchor="middle">1e{decade}</text>')
    for place in range(LOWEST, HIGHEST + 1):
        level = y(10.0**place)
        parts.append(f'<line x1="{LEFT}" y1="{level:.1f}" x2="{right}" y2="{level:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{level + 4:.1f}" text-anchor="end">{100 * 10.0**place:g} %</text>')
    parts.append(
        f'<text x="{(LEFT + right) / 2:.0f}" y="{HEIGHT - 8}" text-anchor="middle">number that is stored</text>'
    )
    middle = (TOP + bottom) / 2
    parts.append(
        f'<text x="16" y="{middle:.0f}" text-anchor="middle" transform="rotate(-90 16 {middle:.0f})">largest relative error</text>'
    )
    for index, (one, colour, dash) in enumerate(zip(curves, COLOURS, DASHES, strict=True)):
        points = " ".join(f"{x(FIRST + at + 0.5):.1f},{y(error):.1f}" for at, error in enumerate(one.errors))
        style = f'fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"'
        parts.append(f'<polyline points="{points}" {style}/>')
        level = TOP + 16 + 22 * index
        parts.append(f'<line x1="{right + 14}" y1="{level - 4}" x2="{right + 44}" y2="{level - 4}" {style}/>')
        parts.append(f'<text x="{right + 52}" y="{level}">{one.label}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def main() -> int:
    """Print the errors, and draw them where asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plot", type=Path, metavar="SVG", help="draw the curves there")
    arguments = parser.parse_args()
    wanted = (("q8.8", "log"), ("q8.8", "sqrt"), ("q8.8", "none"), ("q5.3", "log"), ("q5.3", "none"))
    curves = [curve(format_, transform) for format_, transform in wanted]
    for one in curves:
        print(f"{one.label:<14} {' '.join(f'{error:.0e}' for error in one.errors)}")
    if arguments.plot:
        arguments.plot.parent.mkdir(parents=True, exist_ok=True)
        arguments.plot.write_text(drawing(curves), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
