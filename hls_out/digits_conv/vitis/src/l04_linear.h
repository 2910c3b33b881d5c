// l04_linear: dense layer: 64 inputs an output, 10 outputs
#ifndef L04_LINEAR_H
#define L04_LINEAR_H

#include "types.h"

// One frame a call, through streams.
void l04_linear(fx_channel<t04_beat>& x0, fx_channel<t05_beat>& y);

// One frame a call, in arrays in the order of the values' shapes.
void l04_linear_array(const t04_t x0[64], t05_t y[10]);

#endif
