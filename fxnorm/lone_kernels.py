"""Kernels that can be made by themselves: their sizes, their parameters, and the ONNX node that each of them is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from fxnorm.errors import UsageError
from fxnorm.graph.one_node import OneNode

Array = np.ndarray

Numbers = tuple[int, ...]


class Parameters:
    """Weights: those of a file, or drawn ones.

    Parameters
    ----------
    given
        Arrays by name, and where they are from; None: all are drawn.
    seed
        Of drawn ones.
    """

    def __init__(self, given: Mapping[str, Array] | None, where: str, seed: int) -> None:
        self._given = None if given is None else dict(given)
        self._where = where
        self._random = np.random.default_rng(seed)
        self._taken: dict[str, Numbers] = {}

    def take(self, name: str, shape: Numbers, around: float = 0.0, spread: float = 1.0) -> Array:
        """An array, float32; drawn ones are normal.

        Parameters
        ----------
        around, spread
            Mean and standard deviation.

        Raises
        ------
        UsageError
            If the file has none of that name, or of another shape or kind.
        """
        self._taken[name] = shape
        if self._given is None:
            return self._random.normal(around, spread, shape).astype(np.float32)
        if name not in self._given:
            raise UsageError(f"--weights {self._where}: must hold an array {name} of the shape {list(shape)}")
        array = self._given[name]
        if array.shape != shape or array.dtype.kind not in "fiu":
            raise UsageError(
                f"--weights {self._where}: {name} must hold numbers in the shape {list(shape)}, "
                f"not {array.dtype} in {list(array.shape)}"
            )
        return array.astype(np.float32)

    def close(self) -> None:
        """Refuse a file with arrays that nothing took.

        Raises
        ------
        UsageError
            Naming them.
        """
        unused = sorted(set(self._given or {}) - set(self._taken))
        if unused:
            known = ", ".join(self._taken) or "none"
            raise UsageError(
                f"--weights {self._where}: this kernel takes the arrays {known}, and no {', '.join(unused)}"
            )


@dataclass(frozen=True)
class Size:
    """An option of a kernel.

    Attributes
    ----------
    kind
        "count" (a positive integer), "amount" (one that may be 0), "counts" or "amounts" (the same for every axis, 3x3), or "number".
    default
        Where it is not given; None: it must be.
    """

    kind: str = "count"
    default: Any = None


@dataclass(frozen=True)
class LoneKernel:
    """A kind of kernel.

    Attributes
    ----------
    sizes
        Its options by name.
    make
        The node, from sizes and parameters.
    plan_options
        Options of a plan that only some kernels have and this one does.
    weighted
        Whether it has parameters.
    positive
        Whether its input is above zero.
    """

    sizes: Mapping[str, Size]
    make: Callable[[Mapping[str, Any], Parameters], OneNode]
    plan_options: frozenset[str] = frozenset()
    weighted: bool = False
    positive: bool = False


SUMS: Final = frozenset({"weight_format", "accumulator", "product_format", "multiplier"})
STAGES: Final = frozenset({"norm_algorithm", "mean_format", "square_format", "variance_format", "root_format"})
ROW: Final = {"length": Size(), "rows": Size(default=1)}
PLANE: Final = {"channels": Size(), "size": Size("counts", (1,))}


def _dense(sizes: Mapping[str, Any], parameters: Parameters) -> OneNode:
    inputs, outputs = sizes["inputs"], sizes["outputs"]
    weight = parameters.take("weight", (outputs, inputs), spread=inputs**-0.5)
    bias = parameters.take("bias", (outputs,), spread=0.25)
    return OneNode("Gemm", (sizes["rows"], inputs), {"weight": weight, "bias": bias}, {"transB": 1})


def _conv(sizes: Mapping[str, Any], parameters: Parameters) -> OneNode:
    space = sizes["size"]

    def each(name: str) -> list[int]:
        numbers: Numbers = sizes[name]
        if len(numbers) not in (1, len(space)):
            raise UsageError(
                f"--{name}: must be one number, or as many as --size has ({len(space)}), not {len(numbers)}"
            )
        return list(numbers * len(space) if len(numbers) == 1 else numbers)

    channels, filters, groups, kernel = sizes["channels"], sizes["filters"], sizes["groups"], each("kernel")
    if channels % groups or filters % groups:
        raise UsageError(f"--groups: must divide --channels {channels} and --filters {filters}, and {groups} does not")
    dilations, padding = each("dilation"), each("padding")
    for axis, extent in enumerate(space):
        reach = (kernel[axis] - 1) * dilations[axis] + 1
        if extent + 2 * padding[axis] < reach:
            raise UsageError(
                f"--size: with its padding it must be no smaller than the kernel, and {extent} + 2·{padding[axis]} is below {reach}"
            )
    taps = channels // groups * int(np.prod(kernel))
    weight = parameters.take("weight", (filters, channels // groups, *kernel), spread=taps**-0.5)
    bias = parameters.take("bias", (filters,), spread=0.25)
    attributes = {
        "kernel_shape": kernel,
        "strides": each("stride"),
        "dilations": dilations,
        "pads": padding * 2,
        "group": groups,
    }
    return OneNode("Conv", (1, channels, *space), {"weight": weight, "bias": bias}, attributes)


def _batchnorm(sizes: Mapping[str, Any], parameters: Parameters) -> OneNode:
    channels = sizes["channels"]
    constants = {
        "scale": parameters.take("scale", (channels,), 1.0, 0.25),
        "bias": parameters.take("bias", (channels,), spread=0.25),
        "mean": parameters.take("mean", (channels,), spread=0.25),
        "variance": np.abs(parameters.take("variance", (channels,), 1.0, 0.25)),
    }
    return OneNode("BatchNormalization", (1, channels, *sizes["size"]), constants, {"epsilon": sizes["epsilon"]})


def _layernorm(sizes: Mapping[str, Any], parameters: Parameters) -> OneNode:
    length = sizes["length"]
    constants = {
        "scale": parameters.take("scale", (length,), 1.0, 0.25),
        "bias": parameters.take("bias", (length,), spread=0.25),
    }
    return OneNode("LayerNormalization", (sizes["rows"], length), constants, {"axis": -1, "epsilon": sizes["epsilon"]})


def _rmsnorm(sizes: Mapping[str, Any], parameters: Parameters) -> OneNode:
    length = sizes["length"]
    scale = parameters.take("scale", (length,), 1.0, 0.25)
    return OneNode(
        "RMSNormalization", (sizes["rows"], length), {"scale": scale}, {"axis": -1, "epsilon": sizes["epsilon"]}
    )


def _groupnorm(sizes: Mapping[str, Any], parameters: Parameters) -> OneNode:
    channels, groups = sizes["channels"], sizes["groups"]
    if channels % groups:
        raise UsageError(f"--groups: must divide --channels {channels}, and {groups} does not")
    constants = {
        "scale": parameters.take("scale", (channels,), 1.0, 0.25),
        "bias": parameters.take("bias", (channels,), spread=0.25),
    }
    attributes = {"num_groups": groups, "epsilon": sizes["epsilon"]}
    return OneNode("GroupNormalization", (1, channels, *sizes["size"]), constants, attributes)


def _instancenorm(sizes: Mapping[str, Any], parameters: Parameters) -> OneNode:
    channels = sizes["channels"]
    constants = {
        "scale": parameters.take("scale", (channels,), 1.0, 0.25),
        "bias": parameters.take("bias", (channels,), spread=0.25),
    }
    return OneNode("InstanceNormalization", (1, channels, *sizes["size"]), constants, {"epsilon": sizes["epsilon"]})


def _rescale(sizes: Mapping[str, Any], parameters: Parameters) -> OneNode:
    scale = np.array(sizes["scale"], np.float32)
    return OneNode("Mul", (sizes["rows"], sizes["length"]), {"scale": scale})


def _row(op: str, **attributes: Any) -> Callable[[Mapping[str, Any], Parameters], OneNode]:
    return lambda sizes, parameters: OneNode(op, (sizes["rows"], sizes["length"]), {}, attributes)


EPSILON: Final = {"epsilon": Size("number", 1e-5)}
_WINDOW: Final = {
    "channels": Size(),
    "filters": Size(),
    "kernel": Size("counts"),
    "size": Size("counts"),
    "stride": Size("counts", (1,)),
    "padding": Size("amounts", (0,)),
    "dilation": Size("counts", (1,)),
    "groups": Size(default=1),
}
FUNCTIONS: Final = {
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "gelu": "Gelu",
    "swish": "Swish",
    "mish": "Mish",
    "softplus": "Softplus",
    "softsign": "Softsign",
    "elu": "Elu",
    "selu": "Selu",
    "celu": "Celu",
    "erf": "Erf",
    "exp": "Exp",
    "log": "Log",
    "sqrt": "Sqrt",
    "reciprocal": "Reciprocal",
}
LONE_KERNELS: Final[Mapping[str, LoneKernel]] = {
    "dense": LoneKernel({"inputs": Size(), "outputs": Size(), "rows": Size(default=1)}, _dense, SUMS, True),
    "conv": LoneKernel(_WINDOW, _conv, SUMS, True),
    "batchnorm": LoneKernel({**PLANE, **EPSILON}, _batchnorm, frozenset({"weight_format"}), True),
    "layernorm": LoneKernel({**ROW, **EPSILON}, _layernorm, STAGES | {"weight_format"}, True),
    "rmsnorm": LoneKernel({**ROW, **EPSILON}, _rmsnorm, STAGES | {"weight_format"}, True),
    "groupnorm": LoneKernel({**PLANE, "groups": Size(), **EPSILON}, _groupnorm, STAGES | {"weight_format"}, True),
    "instancenorm": LoneKernel({**PLANE, **EPSILON}, _instancenorm, STAGES | {"weight_format"}, True),
    "softmax": LoneKernel(ROW, _row("Softmax", axis=-1)),
    "logsoftmax": LoneKernel(ROW, _row("LogSoftmax", axis=-1)),
    "rescale": LoneKernel({**ROW, "scale": Size("number", 1.0)}, _rescale),
    **{
        name: LoneKernel(ROW, _row(op), positive=name in {"log", "sqrt", "reciprocal"})
        for name, op in FUNCTIONS.items()
    },
}


def read_sizes(kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a kind of kernel, as the command line has them: numbers, and 3x3 as text.

    Parameters
    ----------
    given
        By name, None where not given.

    Raises
    ------
    UsageError
        If one is missing, does not belong to the kind, or is no number of its own kind.
    """
    sizes = LONE_KERNELS[kind].sizes
    own = ", ".join(f"--{name}" for name in sizes)
    for name, value in given.items():
        if value is not None and name not in sizes:
            raise UsageError(f"--{name}: is no option of kernel {kind}, which takes {own}")
    found = {}
    for name, size in sizes.items():
        value = given.get(name)
        if value is None:
            if size.default is None:
                raise UsageError(f"--{name}: kernel {kind} needs it; it takes {own}")
            found[name] = size.default
        else:
            found[name] = _read(name, size.kind, str(value))
    return found


def _read(name: str, kind: str, text: str) -> Any:
    if kind == "number":
        try:
            number = float(text)
        except ValueError:
            number = np.nan
        if not np.isfinite(number):
            raise UsageError(f"--{name}: must be a number, not {text!r}")
        return number
    least = 0 if kind.startswith("amount") else 1
    words = text.split("x") if kind.endswith("s") else [text]
    sound = all(word.isascii() and word.isdecimal() and len(word) <= 6 and int(word) >= least for word in words)
    if not sound or len(words) > 3:
        example = ", for instance 3 or 3x3" if kind.endswith("s") else ""
        raise UsageError(
            f"--{name}: must be {'an integer from 0 on' if least == 0 else 'a positive integer'}{example}, not {text!r}"
        )
    numbers = tuple(int(word) for word in words)
    return numbers if kind.endswith("s") else numbers[0]
