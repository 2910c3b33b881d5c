// digits_conv: the design.
#ifndef DIGITS_CONV_TOP_H
#define DIGITS_CONV_TOP_H

#include "types.h"

// One frame a call, through streams.
void digits_conv(fx_channel<t00_beat>& in0, fx_channel<t05_beat>& out0);

// The same frame in native integers: codes in, codes out.
void digits_conv_raw(const signed char in0[64], signed char out0[10]);

#endif
