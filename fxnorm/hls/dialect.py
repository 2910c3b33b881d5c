"""What differs between the two vendors' C++: spellings of types and pragmas. Everything else in emitted code is the same text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fxnorm.errors import FormatError
from fxnorm.fixed.format import Format


@dataclass(frozen=True, slots=True)
class Dialect:
    """One target.

    Attributes
    ----------
    name
        "vitis" or "catapult"; also its folder in a project.
    title
        The tool, as its maker calls it.
    types
        Prefix of its types: "ap" or "ac".
    header
        A header by which its types are recognized.
    channel
        Storage of a channel between two blocks of a hierarchical design.
    """

    name: str
    title: str
    types: str
    header: str
    channel: str

    @property
    def vitis(self) -> bool:
        """Whether pragmas are those of Vitis, inside of what they mean; Catapult has them in front."""
        return self.types == "ap"

    def fixed(self, format_: Format) -> str:
        """Type of a format: ac_fixed<8,5,true,AC_RND,AC_SAT>."""
        return format_.spell(self.types)

    def refusal(self, format_: Format) -> str | None:
        """Why the target cannot have a format; None: it can."""
        try:
            self.fixed(format_)
        except FormatError as error:
            return str(error)
        return None

    def before_loop(self, *, pipeline: int | None = None, unroll: int | str | None = None) -> tuple[str, ...]:
        """Pragmas directly in front of a loop.

        Parameters
        ----------
        pipeline
            Initiation interval.
        unroll
            "full", or how many iterations at a time.
        """
        if self.vitis:
            return ()
        lines = []
        if pipeline is not None:
            lines.append(f"#pragma hls_pipeline_init_interval {pipeline}")
        if unroll is not None:
            lines.append(f"#pragma hls_unroll {'yes' if unroll == 'full' else unroll}")
        return tuple(lines)

    def inside_loop(self, *, pipeline: int | None = None, unroll: int | str | None = None) -> tuple[str, ...]:
        """Pragmas at the start of a loop's body."""
        if not self.vitis:
            return ()
        lines = []
        if pipeline is not None:
            lines.append(f"#pragma HLS PIPELINE II={pipeline}")
        if unroll is not None:
            lines.append("#pragma HLS UNROLL" if unroll == "full" else f"#pragma HLS UNROLL factor={unroll}")
        return tuple(lines)

    def partition(self, variable: str, dim: int = 1) -> tuple[str, ...]:
        """Pragmas that make registers of an array; Catapult does so by itself where loops over it are unrolled."""
        return (f"#pragma HLS ARRAY_PARTITION variable={variable} complete dim={dim}",) if self.vitis else ()

    def registers_before(self, variable: str) -> tuple[str, ...]:
        """Pragmas in front of an array of which many entries are used in one cycle."""
        if self.vitis:
            return ()
        return (f'#pragma hls_resource {variable}:rsc variables="{variable}" map_to_module="[Register]"',)

    def wide(self, variable: str, size: int, words: int, dim: int = 1) -> tuple[str, ...]:
        """Pragmas that make so many neighbours of an array one word of a memory, or registers of all its entries."""
        if words == size:
            return self.partition(variable, dim)
        if not self.vitis or words == 1:
            return ()
        return (f"#pragma HLS ARRAY_RESHAPE variable={variable} type=cyclic factor={words} dim={dim}",)

    def inline(self) -> tuple[str, ...]:
        """Pragmas at the start of a function that is no block of its own; Catapult does so by itself."""
        return ("#pragma HLS INLINE",) if self.vitis else ()

    def before_block(self, *, top: bool = False) -> tuple[str, ...]:
        """Pragmas in front of a function that becomes a block of the hierarchy."""
        if self.vitis:
            return ()
        return ("#pragma hls_design top" if top else "#pragma hls_design",)


VITIS: Final = Dialect("vitis", "AMD Vitis HLS", "ap", "ap_fixed.h", "")
CATAPULT: Final = Dialect("catapult", "Siemens Catapult", "ac", "ac_fixed.h", "static ")
DIALECTS: Final = {dialect.name: dialect for dialect in (VITIS, CATAPULT)}
