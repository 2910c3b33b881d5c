// l00_linear: 3x3 convolution: 9 inputs an output, 8 outputs
#ifndef L00_LINEAR_H
#define L00_LINEAR_H

#include "types.h"

// One frame a call, through streams.
void l00_linear(fx_channel<t00_beat>& x0, fx_channel<t01_beat>& y);

// One frame a call, in arrays in the order of the values' shapes.
void l00_linear_array(const t00_t x0[64], t01_t y[512]);

#endif
