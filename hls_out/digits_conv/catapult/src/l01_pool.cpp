// l01_pool: maximum of 4 taps
#include "l01_pool.h"

#include "fx_arith.h"
#include "fx_divide.h"
#include "probes.h"

// One window.
static void l01_pool_core(const t01_t x0[32], t02_t y[8]) {
  #pragma hls_pipeline_init_interval 1
  channels: for (int channel = 0; channel < 8; ++channel) {
    fx_int<8> acc = fx_code(x0[channel * 4]);
    #pragma hls_unroll yes
    taps: for (int tap = 0; tap < 3; ++tap) {
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
#pragma hls_design
void l01_pool(fx_channel<t01_beat>& x0, fx_channel<t02_beat>& y) {
  FX_PROCESS(l01_pool);
  // Rows of the padded image that went before, the oldest first.
  t01_t lines[1][8][8];
  // What the window sees: the rows of its taps, as many columns as it reaches over.
  #pragma hls_resource seen:rsc variables="seen" map_to_module="[Register]"
  t01_t seen[2][2][8];
  int due_row = 1;
  rows: for (int row = 0; row < 8; ++row) {
    int due_column = 1;
    columns: for (int column = 0; column < 8; ++column) {
      #pragma hls_resource newest:rsc variables="newest" map_to_module="[Register]"
      t01_t newest[8];
      const t01_beat read_token = x0.read();
      #pragma hls_unroll yes
      read_lanes: for (int lane = 0; lane < 8; ++lane) {
        newest[lane] = read_token.lane[lane];
      }
      #pragma hls_unroll yes
      shift: for (int channel = 0; channel < 8; ++channel) {
        #pragma hls_unroll yes
        shift_rows: for (int tap = 0; tap < 2; ++tap) {
          #pragma hls_unroll yes
          shift_columns: for (int place = 0; place < 1; ++place) {
            seen[tap][place][channel] = seen[tap][place + 1][channel];
          }
        }
        #pragma hls_unroll yes
        fill: for (int tap = 0; tap < 1; ++tap) {
          seen[tap][1][channel] = lines[tap][column][channel];
        }
        seen[1][1][channel] = newest[channel];
        lines[0][column][channel] = newest[channel];
      }
      if (row == due_row && column == due_column) {
        #pragma hls_resource window:rsc variables="window" map_to_module="[Register]"
        t01_t window[32];
        #pragma hls_resource result:rsc variables="result" map_to_module="[Register]"
        t02_t result[8];
        #pragma hls_unroll yes
        gather: for (int channel = 0; channel < 8; ++channel) {
          #pragma hls_unroll yes
          gather_rows: for (int tap_h = 0; tap_h < 2; ++tap_h) {
            #pragma hls_unroll yes
            gather_columns: for (int tap_w = 0; tap_w < 2; ++tap_w) {
              window[(channel * 2 + tap_h) * 2 + tap_w] = seen[tap_h][tap_w][channel];
            }
          }
        }
        l01_pool_core(window, result);
        t02_beat write_token;
        #pragma hls_unroll yes
        write_lanes: for (int lane = 0; lane < 8; ++lane) {
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
