# catapult -shell -file directives.tcl
project new -name digits_conv_prj
flow package require /SCVerify
options set Input/CppStandard c++14
options set Input/SearchPath src
solution file add src/l00_linear.cpp -type C++
solution file add src/l01_pool.cpp -type C++
solution file add src/l02_linear.cpp -type C++
solution file add src/l03_movement.cpp -type C++
solution file add src/l04_linear.cpp -type C++
solution file add src/digits_conv.cpp -type C++
solution file add src/digits_conv_raw.cpp -type C++
solution file add tb/digits_conv_tb.cpp -type C++ -exclude true
go analyze
directive set -DESIGN_HIERARCHY digits_conv
go compile
solution library add nangate-45nm_beh
go libraries
directive set -CLOCKS { clk { -CLOCK_PERIOD 5 -CLOCK_EDGE rising } }
go assembly
directive set /digits_conv/t01:cns -FIFO_DEPTH 2
directive set /digits_conv/t02:cns -FIFO_DEPTH 2
directive set /digits_conv/t03:cns -FIFO_DEPTH 2
directive set /digits_conv/t04:cns -FIFO_DEPTH 2
go architect
go extract
flow run /SCVerify/launch_make ./scverify/Verify_orig_cxx_osci.mk {} SIMTOOL=osci sim
flow run /SCVerify/launch_make ./scverify/Verify_rtl_v_msim.mk {} SIMTOOL=msim sim
