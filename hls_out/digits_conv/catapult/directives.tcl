# catapult -shell -file directives.tcl
set here [file dirname [file normalize [info script]]]
options defaults
options set Input/CppStandard c++14
options set Input/SearchPath $here/src
project new -name digits_conv_prj
flow package require /SCVerify
flow package option set /SCVerify/USE_CCS_BLOCK true
flow package option set /SCVerify/INVOKE_ARGS [file normalize $here/../vectors]
solution file add $here/src/l00_linear.cpp -type C++
solution file add $here/src/l01_pool.cpp -type C++
solution file add $here/src/l02_linear.cpp -type C++
solution file add $here/src/l03_movement.cpp -type C++
solution file add $here/src/l04_linear.cpp -type C++
solution file add $here/src/digits_conv.cpp -type C++
solution file add $here/src/digits_conv_raw.cpp -type C++
solution file add $here/tb/digits_conv_tb.cpp -type C++ -exclude true
go analyze
directive set -DESIGN_HIERARCHY digits_conv
go compile
# The C++ itself, with its testbench.
flow run /SCVerify/launch_make ./scverify/Verify_orig_cxx_osci.mk {} SIMTOOL=osci sim
solution library add nangate-45nm_beh
# Memories and tables; replace them by those of the technology.
solution library add ccs_sample_mem
solution library add ccs_sample_rom
go libraries
directive set -CLOCKS { clk { -CLOCK_PERIOD 5 -CLOCK_EDGE rising } }
# Windows and rows of which all entries are used at a time are registers; this is the largest of them.
directive set -REGISTER_THRESHOLD 256
go assembly
directive set /digits_conv/t01:cns -FIFO_DEPTH 2
directive set /digits_conv/t02:cns -FIFO_DEPTH 2
directive set /digits_conv/t03:cns -FIFO_DEPTH 2
directive set /digits_conv/t04:cns -FIFO_DEPTH 2
go architect
go extract
# The RTL, with the same testbench.
flow run /SCVerify/launch_make ./scverify/Verify_rtl_v_msim.mk {} SIMTOOL=msim sim
