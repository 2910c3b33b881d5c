// l01_pool: maximum of 4 taps
#ifndef L01_POOL_H
#define L01_POOL_H

#include "types.h"

// One frame a call, through streams.
void l01_pool(fx_channel<t01_beat>& x0, fx_channel<t02_beat>& y);

// One frame a call, in arrays in the order of the values' shapes.
void l01_pool_array(const t01_t x0[512], t02_t y[128]);

#endif
