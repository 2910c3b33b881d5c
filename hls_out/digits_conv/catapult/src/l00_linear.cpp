// l00_linear: 3x3 convolution: 9 inputs an output, 8 outputs
#include "l00_linear.h"

#include "fx_arith.h"
#include "probes.h"

// Weights in the order of the steps: 1 output(s) by 1 addend(s) each.
static const signed char l00_linear_weights[72] = {
  20, -68, 58, -13, -114, -101, -105, -39, 114, 28, 12, -44, -21, -65, -29, -26, -5, -20, 23, 49, 14, -26, 28,
  -15, -74, 53, -49, 44, -24, -19, 27, -71, 66, -57, 35, 12, 60, 101, 23, -42, 17, 80, -120, -80, -111, 31,
  77, 14, 57, 98, -82, 89, -10, 5, -30, -14, 15, 31, -46, -36, 46, 30, -83, -64, -70, 102, -7, 120, 74, 17,
  -27, -80,
};
// What each output's sum starts at.
static const short l00_linear_bias[8] = {
  4279, 4072, -953, -676, -35, -8862, 737, -2738,
};
// Places by which each output's sum is moved up, so that all are rounded at one place.
static const signed char l00_linear_shift[8] = {
  0, 1, 1, 1, 0, 0, 1, 0,
};

// One window.
static void l00_linear_core(const t00_t x0[9], t01_t y[8]) {
  // 72 steps of 1 product(s): 1 output(s) and 1 addend(s) of each at a time.
  #pragma hls_resource sum:rsc variables="sum" map_to_module="[Register]"
  fx_int<18> sum[1];
  int first_output = 0;
  int first_input = 0;
  #pragma hls_pipeline_init_interval 1
  folds: for (int step = 0; step < 72; ++step) {
    #pragma hls_unroll yes
    outputs: for (int pe = 0; pe < 1; ++pe) {
      const int output = first_output + pe;
      fx_int<18> total = fx_int<15>(l00_linear_bias[output]);
      if (first_input != 0) total = sum[pe];
      #pragma hls_unroll yes
      addends: for (int simd = 0; simd < 1; ++simd) {
        const fx_int<8> x = fx_code(x0[first_input]);
        const fx_int<8> weight = fx_int<8>(l00_linear_weights[step]);
        total = total + x * weight;
      }
      sum[pe] = total;
      if (first_input == 8) {
        const fx_int<19> moved = fx_int<19>(total) << fx_uint<1>(l00_linear_shift[output]);
        fx_int<11> rounded = fx::shift_round<fx::RND, 8, 11>(moved);
        if (rounded < fx_int<11>(0)) rounded = fx_int<11>(0);
        FX_COUNT(l00_linear_overflow, (fx::overflowed<fx::SAT, 8, true>(rounded)));
        fx_set(y[output], fx::fit<fx::SAT, 8, true>(rounded));
      }
    }
    first_input += 1;
    if (first_input == 9) {
      first_input = 0;
      first_output += 1;
    }
  }
}

// Arrays: window by window.
void l00_linear_array(const t00_t x0[64], t01_t y[512]) {
  outputs_h: for (int out_h = 0; out_h < 8; ++out_h) {
    outputs_w: for (int out_w = 0; out_w < 8; ++out_w) {
      t00_t window[9];
      t01_t result[8];
      channels: for (int channel = 0; channel < 1; ++channel) {
        taps_h: for (int tap_h = 0; tap_h < 3; ++tap_h) {
          taps_w: for (int tap_w = 0; tap_w < 3; ++tap_w) {
            const int at_h = out_h + tap_h - 1;
            const int at_w = out_w + tap_w - 1;
            if (at_h >= 0 && at_h < 8 && at_w >= 0 && at_w < 8) {
              window[channel * 9 + tap_h * 3 + tap_w] = x0[channel * 64 + at_h * 8 + at_w];
            } else {
              fx_set(window[channel * 9 + tap_h * 3 + tap_w], fx_int<1>(0));
            }
          }
        }
      }
      l00_linear_core(window, result);
      scatter: for (int channel = 0; channel < 8; ++channel) {
        y[channel * 64 + out_h * 8 + out_w] = result[channel];
      }
    }
  }
  FX_TRACE_ALL(t01, y, 512);
}

// Streams: pixels pass line buffers; where a window ends at a pixel, its output is written.
#pragma hls_design
void l00_linear(fx_channel<t00_beat>& x0, fx_channel<t01_beat>& y) {
  FX_PROCESS(l00_linear);
  // Rows of the padded image that went before, the oldest first.
  t00_t lines[2][10][1];
  // What the window sees: the rows of its taps, as many columns as it reaches over.
  #pragma hls_resource seen:rsc variables="seen" map_to_module="[Register]"
  t00_t seen[3][3][1];
  int due_row = 2;
  rows: for (int row = 0; row < 10; ++row) {
    int due_column = 2;
    columns: for (int column = 0; column < 10; ++column) {
      #pragma hls_resource newest:rsc variables="newest" map_to_module="[Register]"
      t00_t newest[1];
      if (row >= 1 && row < 9 && column >= 1 && column < 9) {
        const t00_beat read_token = x0.read();
        #pragma hls_unroll yes
        read_lanes: for (int lane = 0; lane < 1; ++lane) {
          newest[lane] = read_token.lane[lane];
        }
      } else {
        #pragma hls_unroll yes
        pad: for (int channel = 0; channel < 1; ++channel) {
          fx_set(newest[channel], fx_int<1>(0));
        }
      }
      #pragma hls_unroll yes
      shift: for (int channel = 0; channel < 1; ++channel) {
        #pragma hls_unroll yes
        shift_rows: for (int tap = 0; tap < 3; ++tap) {
          #pragma hls_unroll yes
          shift_columns: for (int place = 0; place < 2; ++place) {
            seen[tap][place][channel] = seen[tap][place + 1][channel];
          }
        }
        #pragma hls_unroll yes
        fill: for (int tap = 0; tap < 2; ++tap) {
          seen[tap][2][channel] = lines[tap][column][channel];
        }
        seen[2][2][channel] = newest[channel];
        #pragma hls_unroll yes
        age: for (int line = 0; line < 1; ++line) {
          lines[line][column][channel] = lines[line + 1][column][channel];
        }
        lines[1][column][channel] = newest[channel];
      }
      if (row == due_row && column == due_column) {
        #pragma hls_resource window:rsc variables="window" map_to_module="[Register]"
        t00_t window[9];
        #pragma hls_resource result:rsc variables="result" map_to_module="[Register]"
        t01_t result[8];
        #pragma hls_unroll yes
        gather: for (int channel = 0; channel < 1; ++channel) {
          #pragma hls_unroll yes
          gather_rows: for (int tap_h = 0; tap_h < 3; ++tap_h) {
            #pragma hls_unroll yes
            gather_columns: for (int tap_w = 0; tap_w < 3; ++tap_w) {
              window[(channel * 3 + tap_h) * 3 + tap_w] = seen[tap_h][tap_w][channel];
            }
          }
        }
        l00_linear_core(window, result);
        t01_beat write_token;
        #pragma hls_unroll yes
        write_lanes: for (int lane = 0; lane < 8; ++lane) {
          write_token.lane[lane] = result[lane];
          FX_TRACE(t01, result[lane]);
        }
        y.write(write_token);
        due_column += 1;
      }
    }
    if (row == due_row) due_row += 1;
  }
}
