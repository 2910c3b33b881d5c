// l03_movement: data that changes place
#include "l03_movement.h"

#include "fx_arith.h"
#include "probes.h"

// Arrays: the whole frame.
void l03_movement_array(const t03_t x0[64], t04_t y[64]) {
  move0: for (int i0 = 0; i0 < 64; ++i0) {
  #pragma HLS PIPELINE II=1
    const fx_int<8> code = fx_code(x0[i0]);
    fx_set(y[i0], code);
  }
  FX_TRACE_ALL(t04, y, 64);
}

// Streams: a frame is read, computed and written.
void l03_movement(fx_channel<t03_beat>& x0, fx_channel<t04_beat>& y) {
  FX_PROCESS(l03_movement);
  t03_t frame0[64];
  t04_t result[64];
  read0_inner: for (int p = 0; p < 4; ++p) {
  #pragma HLS PIPELINE II=1
    const t03_beat token = x0.read();
    lanes0: for (int lane = 0; lane < 16; ++lane) {
    #pragma HLS UNROLL
      frame0[lane * 4 + p] = token.lane[lane];
    }
  }
  l03_movement_array(frame0, result);
  write_beats: for (int beat = 0; beat < 1; ++beat) {
  #pragma HLS PIPELINE II=1
    t04_beat token;
    lanes: for (int lane = 0; lane < 64; ++lane) {
    #pragma HLS UNROLL
      token.lane[lane] = result[lane];
    }
    y.write(token);
  }
}
