// l03_movement: data that changes place
#ifndef L03_MOVEMENT_H
#define L03_MOVEMENT_H

#include "types.h"

// One frame a call, through streams.
void l03_movement(fx_channel<t03_beat>& x0, fx_channel<t04_beat>& y);

// One frame a call, in arrays in the order of the values' shapes.
void l03_movement_array(const t03_t x0[64], t04_t y[64]);

#endif
