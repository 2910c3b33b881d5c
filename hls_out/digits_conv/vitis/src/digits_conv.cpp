// digits_conv: the design, its layers and what joins them.
#include "digits_conv.h"

#include "l00_linear.h"
#include "l01_pool.h"
#include "l02_linear.h"
#include "l03_movement.h"
#include "l04_linear.h"
#include "probes.h"

void digits_conv(fx_channel<t00_beat>& in0, fx_channel<t05_beat>& out0) {
#pragma HLS INTERFACE axis port=in0
#pragma HLS INTERFACE axis port=out0
#pragma HLS INTERFACE ap_ctrl_hs port=return
#pragma HLS DATAFLOW
  fx_channel<t01_beat> t01("t01");
#pragma HLS STREAM variable=t01 depth=2
  fx_channel<t02_beat> t02("t02");
#pragma HLS STREAM variable=t02 depth=2
  fx_channel<t03_beat> t03("t03");
#pragma HLS STREAM variable=t03 depth=2
  fx_channel<t04_beat> t04("t04");
#pragma HLS STREAM variable=t04 depth=2
  l00_linear(in0, t01);
  l01_pool(t01, t02);
  l02_linear(t02, t03);
  l03_movement(t03, t04);
  l04_linear(t04, out0);
}
