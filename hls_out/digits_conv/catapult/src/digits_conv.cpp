// digits_conv: the design, its layers and what joins them.
#include "digits_conv.h"

#include "fx_scverify.h"
#include "l00_linear.h"
#include "l01_pool.h"
#include "l02_linear.h"
#include "l03_movement.h"
#include "l04_linear.h"
#include "probes.h"

#pragma hls_design top
void CCS_BLOCK(digits_conv)(fx_channel<t00_beat>& in0, fx_channel<t05_beat>& out0) {
  static fx_channel<t01_beat> t01 FX_NAMED(t01);
  static fx_channel<t02_beat> t02 FX_NAMED(t02);
  static fx_channel<t03_beat> t03 FX_NAMED(t03);
  static fx_channel<t04_beat> t04 FX_NAMED(t04);
  l00_linear(in0, t01);
  l01_pool(t01, t02);
  l02_linear(t02, t03);
  l03_movement(t03, t04);
  l04_linear(t04, out0);
}
