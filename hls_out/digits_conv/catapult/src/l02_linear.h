// l02_linear: 3x3 convolution: 72 inputs an output, 16 outputs
#ifndef L02_LINEAR_H
#define L02_LINEAR_H

#include "types.h"

// One frame a call, through streams.
void l02_linear(fx_channel<t02_beat>& x0, fx_channel<t03_beat>& y);

// One frame a call, in arrays in the order of the values' shapes.
void l02_linear_array(const t02_t x0[128], t03_t y[64]);

#endif
