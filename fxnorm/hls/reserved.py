"""Words that a project must not be named by: those of the languages that it is written in and turned into, and its own."""

from __future__ import annotations

from typing import Final

# C++20, its alternative tokens, and macros of the standard headers that emitted code includes.
_CPP: Final = """
alignas alignof and and_eq asm assert atomic auto bitand bitor bool break case catch char class compl concept
const const_cast consteval constexpr constinit continue co_await co_return co_yield decltype default define
delete do double dynamic_cast else elif endif enum errno explicit export extern false final float for friend
goto if ifdef ifndef import include inline int line long module mutable namespace new noexcept not not_eq null
nullptr operator or or_eq override pragma private protected public register reinterpret_cast requires return
short signed sizeof static static_assert static_cast struct switch template this thread_local throw true try
typedef typeid typename undef union unsigned using virtual void volatile wchar_t while xor xor_eq
"""

# SystemVerilog (IEEE 1800).
_VERILOG: Final = """
accept_on alias always always_comb always_ff always_latch assign assume automatic before begin bind bins
binsof bit buf bufif0 bufif1 byte casex casez cell chandle checker clocking cmos config constraint context
cover covergroup coverpoint cross deassign defparam design disable dist edge end endcase endchecker endclass
endclocking endconfig endfunction endgenerate endgroup endinterface endmodule endpackage endprimitive
endprogram endproperty endspecify endsequence endtable endtask event eventually expect extends first_match
force foreach forever fork forkjoin function generate genvar global highz0 highz1 iff ifnone ignore_bins
illegal_bins implements implies incdir initial inout input inside instance integer interconnect interface
intersect join join_any join_none large let liblist library local localparam logic longint macromodule matches
medium modport nand negedge nettype nexttime nmos nor noshowcancelled notif0 notif1 output package packed
parameter pmos posedge primitive priority program property pull0 pull1 pulldown pullup pulsestyle_ondetect
pulsestyle_onevent pure rand randc randcase randsequence rcmos real realtime ref reg reject_on release repeat
restrict rnmos rpmos rtran rtranif0 rtranif1 s_always s_eventually s_nexttime s_until s_until_with scalared
sequence shortint shortreal showcancelled small soft solve specify specparam string strong strong0 strong1
super supply0 supply1 sync_accept_on sync_reject_on table tagged task tcl throughout time timeprecision
timeunit tran tranif0 tranif1 tri tri0 tri1 triand trior trireg type unique unique0 unsigned until until_with
untyped use uwire var vectored virtual wait wait_order wand weak weak0 weak1 wildcard wire with within wor
xnor
"""

# VHDL (IEEE 1076).
_VHDL: Final = """
abs access after all architecture array attribute block body buffer bus component configuration constant
disconnect downto elsif entity exit file generic group guarded impure in inertial is label linkage literal
loop map mod next null of on open others out port postponed procedure process pure range record reject rem
report return rol ror select severity signal shared sla sll sra srl subtype then to transport units variable
when
"""

# Files and folders of a project, and what its testbench and its headers call something else.
_TAKEN: Final = """
types probes main tb src vectors sim vitis catapult frames frame wrong folder written place token n p beat
lane argc argv eof null stdin stdout stderr offsetof va_list size_t ptrdiff_t file isnan isinf signbit int8_t
int16_t int32_t int64_t uint8_t uint16_t uint32_t uint64_t
"""

WORDS: Final = frozenset(f"{_CPP} {_VERILOG} {_VHDL}".split())
TAKEN: Final = frozenset(_TAKEN.split())
