// l01_pool: maximum of 4 taps
#include "l01_pool.h"

#include "fx_arith.h"
#include "fx_divide.h"
#include "probes.h"

// One window.
static void l01_pool_core(const t01_t x0[32], t02_t y[8]) {
  #pragma HLS INLINE
  channels: for (int channel = 0; channel < 8; ++channel) {
  #pragma HLS PIPELINE II=1
    fx_int<8> acc = fx_code(x0[channel * 4]);
    taps: for (int tap = 0; tap < 3; ++tap) {
    #pragma HLS UNROLL
      const fx_int<8> code = fx_code(x0[channel * 4 + tap + 1]);
      if (code > acc) acc = code;
    }
    fx_int<8> rounded = acc;
    FX_COUNT(l01_pool_overflow, (fx::overflowed<fx::SAT, 8, true>(rounded)));
    fx_set(y[channel], fx::fit<fx::SAT, 8, true>(rounded));
  }
}

// Arrays: window by window.
void l01_pool_array(const t01_t x0[512], t02_t y[128]) {
  outputs_h: for (int out_h = 0; out_h < 4; ++out_h) {
    outputs_w: for (int out_w = 0; out_w < 4; ++out_w) {
      t01_t window[32];
      t02_t result[8];
      channels: for (int channel = 0; channel < 8; ++channel) {
        taps_h: for (int tap_h = 0; tap_h < 2; ++tap_h) {
          taps_w: for (int tap_w = 0; tap_w < 2; ++tap_w) {
            const int at_h = out_h * 2 + tap_h;
            const int at_w = out_w * 2 + tap_w;
            window[channel * 4 + tap_h * 2 + tap_w] = x0[channel * 64 + at_h * 8 + at_w];
          }
        }
      }
      l01_pool_core(window, result);
      scatter: for (int channel = 0; channel < 8; ++channel) {
        y[channel * 16 + out_h * 4 + out_w] = result[channel];
      }
    }
  }
  FX_TRACE_ALL(t02, y, 128);
}

// Streams: pixels pass line buffers; where a window ends at a pixel, its output is written.
void l01_pool(fx_channel<t01_beat>& x0, fx_channel<t02_beat>& y) {
  FX_PROCESS(l01_pool);
  // Rows of the padded image that went before, the oldest first.
  t01_t lines[1][8][8];
  #pragma HLS ARRAY_PARTITION variable=lines complete dim=1
  #pragma HLS ARRAY_RESHAPE variable=lines type=cyclic factor=8 dim=3
  // What the window sees: the rows of its taps, as many columns as it reaches over.
  t01_t seen[2][2][8];
  #pragma HLS ARRAY_PARTITION variable=seen complete dim=0
  int due_row = 1;
  rows: for (int row = 0; row < 8; ++row) {
    int due_column = 1;
    columns: for (int column = 0; column < 8; ++column) {
      t01_t newest[8];
      #pragma HLS ARRAY_PARTITION variable=newest complete dim=0
      const t01_beat read_token = x0.read();
      read_lanes: for (int lane = 0; lane < 8; ++lane) {
      #pragma HLS UNROLL
        newest[lane] = read_token.lane[lane];
      }
      shift: for (int channel = 0; channel < 8; ++channel) {
      #pragma HLS UNROLL
        shift_rows: for (int tap = 0; tap < 2; ++tap) {
        #pragma HLS UNROLL
          shift_columns: for (int place = 0; place < 1; ++place) {
          #pragma HLS UNROLL
            seen[tap][place][channel] = seen[tap][place + 1][channel];
          }
        }
        fill: for (int tap = 0; tap < 1; ++tap) {
        #pragma HLS UNROLL
          seen[tap][1][channel] = lines[tap][column][channel];
        }
        seen[1][1][channel] = newest[channel];
        lines[0][column][channel] = newest[channel];
      }
      if (row == due_row && column == due_column) {
        t01_t window[32];
        #pragma HLS ARRAY_PARTITION variable=window complete dim=0
        t02_t result[8];
        #pragma HLS ARRAY_PARTITION variable=result complete dim=0
        gather: for (int channel = 0; channel < 8; ++channel) {
        #pragma HLS UNROLL
          gather_rows: for (int tap_h = 0; tap_h < 2; ++tap_h) {
          #pragma HLS UNROLL
            gather_columns: for (int tap_w = 0; tap_w < 2; ++tap_w) {
            #pragma HLS UNROLL
              window[(channel * 2 + tap_h) * 2 + tap_w] = seen[tap_h][tap_w][channel];
            }
          }
        }
        l01_pool_core(window, result);
        t02_beat write_token;
        write_lanes: for (int lane = 0; lane < 8; ++lane) {
        #pragma HLS UNROLL
          write_token.lane[lane] = result[lane];
          FX_TRACE(t02, result[lane]);
        }
        y.write(write_token);
        due_column += 2;
      }
    }
    if (row == due_row) due_row += 2;
  }
}
