# vitis-run --mode hls --tcl run_hls.tcl
open_project -reset digits_conv_prj
set_top digits_conv
add_files src/l00_linear.cpp
add_files src/l01_pool.cpp
add_files src/l02_linear.cpp
add_files src/l03_movement.cpp
add_files src/l04_linear.cpp
add_files src/digits_conv.cpp
add_files src/digits_conv_raw.cpp
add_files -tb tb/digits_conv_tb.cpp -cflags "-Isrc"
add_files -tb ../vectors/in0.txt
add_files -tb ../vectors/out0.txt
open_solution -reset -flow_target vivado solution1
set_part xcu250-figd2104-2L-e
create_clock -period 5ns
csim_design
csynth_design
cosim_design
export_design -format ip_catalog
exit
