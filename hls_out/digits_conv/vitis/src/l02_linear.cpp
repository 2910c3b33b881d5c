// l02_linear: 3x3 convolution: 72 inputs an output, 16 outputs
#include "l02_linear.h"

#include "fx_arith.h"
#include "probes.h"

// Weights in the order of the steps: 1 output(s) by 1 addend(s) each.
static const signed char l02_linear_weights[1152] = {
  -3, 61, 83, 25, -36, -10, -13, -23, -28, -111, 15, 35, -31, 17, -28, 46, -36, 33, 36, 2, -45, -8, 27, -12,
  -46, -34, 23, -38, 30, -3, -31, 34, 57, 41, 11, 15, 15, 8, -47, -29, -23, -38, 5, -69, -16, 18, 22, -22, 33,
  -4, -69, -36, -37, -9, 37, -24, 30, -11, 1, 38, -38, 25, 23, -46, 50, -6, 1, -45, -3, -28, -54, -12, 22, 9,
  24, 38, -26, 12, -37, 6, 30, -7, 19, 46, -56, -25, 17, -68, -16, 23, -23, 1, -1, -28, -8, -25, -54, -3, -4,
  10, 65, 59, 9, -32, -38, -5, -50, -27, 1, -3, 28, -31, -7, 2, -8, -57, -83, -30, 79, -47, 5, -46, 46, -42,
  30, 44, 27, 19, -20, 44, 37, 46, -11, -30, -53, -24, 5, 6, -13, -39, 18, -38, 54, -39, 42, 4, -11, -21, 14,
  -49, 6, -37, 68, 9, 11, -56, -14, 45, 14, 3, -2, -35, 4, 29, 16, -16, -13, 14, 20, 28, -24, 6, 5, -5, 20,
  45, 35, 30, 6, 5, 14, 33, 1, -46, -5, 4, 46, 35, 29, -8, -8, -32, 21, 3, 44, 4, -30, -71, -9, -38, -43, -11,
  -35, -13, 30, 1, 30, -4, -19, -23, -26, 37, -2, 32, -13, -12, 6, 13, 10, -40, -44, -65, -18, -49, 100, -39,
  69, -40, 6, -121, -20, -86, 21, 78, -47, 0, -27, -33, 20, -5, 59, 14, 11, -16, 22, -8, -25, -28, 42, 15, 15,
  71, -57, 81, -33, -58, 27, 6, 47, 24, 37, 7, -29, -53, 41, -88, 4, 10, 39, 49, 1, 16, -22, 1, -3, 3, 32,
  -25, -5, 78, -46, -3, 8, 4, 31, -47, 38, -11, -30, 15, -2, -16, 41, 30, -13, 3, -9, -12, -21, -14, -32, 90,
  61, -21, -13, 33, 11, 5, -18, 0, -46, -36, 2, 21, 8, -16, -3, 7, -32, -30, -47, -12, -1, 12, 9, -12, 16, 4,
  20, 5, 20, 1, -2, 14, 44, -6, 3, -2, 3, 9, -1, -8, -36, 28, -41, 26, -44, 7, -1, 0, -15, -35, -22, 27, 30,
  -4, -29, -11, -7, 34, 14, 0, 2, 17, 30, -31, -28, -33, -14, -8, 14, -5, 36, 27, 6, -54, -59, -15, -14, 30,
  -15, -15, -21, 26, 12, 9, -11, 13, 10, -13, 0, 84, 35, -7, -29, -12, 6, -36, -30, -38, -15, -27, 0, 26, -1,
  -29, -3, 19, 24, -33, -64, -4, -15, -23, -61, -52, 15, -16, -25, -2, -6, -10, 41, -12, 32, -6, 12, 4, -25,
  4, -7, -36, 17, 10, -7, -13, 31, -11, 4, 25, 21, 14, -29, -26, 44, -1, -6, 29, 51, -5, 5, 16, 35, 47, -25,
  12, 11, -18, 11, 6, 11, -3, 30, -24, -11, -20, -11, -34, -27, -16, -33, -35, -47, -1, -2, -8, -5, 17, 10,
  14, -9, 36, 6, 14, 19, -3, 21, -36, 39, 85, -8, -16, 44, 35, -46, 25, -49, 32, -10, -15, 3, 9, -3, -13, -50,
  25, -25, -3, 31, 29, 23, 73, -5, 5, 19, 8, -33, -16, 51, 78, -3, 46, -29, -16, 20, -33, -49, -30, 28, 45,
  48, 11, 0, 12, 19, 27, 3, 42, 33, -15, -12, -32, 22, 20, 43, 63, -16, 10, -21, 22, -9, -21, -42, 20, -8, 19,
  20, -30, -12, -1, -27, -7, -42, 19, 3, 7, -47, 20, 21, -14, -16, 16, 7, 15, -24, 28, -19, -2, 1, 47, 20,
  -16, -30, -13, 7, -30, 0, -13, 71, 30, -40, -10, 30, 27, -6, -8, -22, -18, -22, -56, -30, 6, 1, -11, 60,
  -17, 54, 27, 61, 32, 10, 32, -9, 22, -20, -33, -44, 1, 1, 31, 37, -7, 41, 23, 47, -24, -36, -8, 15, 11, -17,
  -1, 21, 49, 32, -53, -16, -10, 58, 28, 31, -26, 49, -41, 24, 11, -20, 15, 7, -27, 48, 65, 19, 78, 83, -72,
  -46, 40, -118, 7, -90, 28, 25, -13, -90, -88, 3, 19, -8, 57, -19, -32, 13, 35, 49, -37, 1, 15, -20, -70, 82,
  -42, -42, -57, 49, -1, -29, -50, -99, -52, 52, 88, 23, -20, -22, 9, 51, 26, 8, -57, 2, -14, -120, -5, -11,
  -122, 10, -18, -89, -3, -14, 8, -50, 1, -13, -69, -29, -35, 5, 26, 4, 16, 5, -6, -86, -11, 20, 68, -15, -85,
  0, 27, -46, 1, -15, -31, -31, -12, 0, 38, -18, 4, -25, -53, -16, 13, 2, 15, 65, 14, 34, -24, -29, -13, 80,
  53, 31, 20, -12, -48, -11, 33, 20, -5, -18, -17, -3, 3, 22, -7, -15, -9, -24, -61, 4, -13, 16, 11, 2, 51,
  42, -79, -26, -41, 15, 4, 17, -31, 31, -48, -5, -16, 3, -15, -14, 44, -2, -33, -21, 45, 51, 71, 44, 30, 72,
  -39, -58, -5, 28, -51, -29, -14, -18, -25, -5, -11, -9, 42, -9, 5, -11, -5, -6, -22, -23, -55, -46, -28,
  -14, -59, -27, 13, -16, -9, -15, -26, -2, 0, 14, -7, -8, 22, 31, -8, 25, -6, -38, 66, 0, 63, 19, -22, 38,
  -6, -20, 20, -83, 36, -1, 6, -44, 8, 31, 28, 27, -16, -44, -18, 23, 43, -3, -1, -36, -39, 3, 1, 44, 27, 26,
  -96, 68, 32, 13, 30, 17, -7, -7, -25, -26, -42, -42, -53, -15, 5, -4, 4, -46, 25, 28, 23, 25, 31, 37, -5,
  55, 3, -23, 51, -38, 39, -29, -12, -10, -38, -27, 16, -20, 6, 17, -5, 33, -55, -42, 14, 19, 33, 31, -3, -19,
  -15, 5, 25, -20, -7, -5, -4, 31, 23, 32, 17, 10, -13, -8, -19, 4, -10, 18, 4, 68, 2, -13, -51, -20, -11, 12,
  11, 8, 51, -31, 22, 5, -12, 5, 3, -27, -3, 21, 27, -37, 10, -21, 4, 11, -22, -6, -36, -42, 26, -3, -13, 14,
  16, -33, -20, 24, -14, 6, 6, 30, 15, 5, 12, 5, 43, 8, 16, -3, 3, -8, -4, -12, -29, -47, 12, 7, 3, -1, 23,
  -14, 7, 10, 0, -44, -90, 8, -19, -11, -36, 3, 14, -32, -8, -19, -33, 1, -5, 9, -16, -3, 1, 16, 47, -6, -13,
  -12, 23, 21, -7, -2, -31, -17, 15, 12, -37, -11, 16, -3, -4, -10, -14, 19, -20, 20, -4, 46, -8, 6, -26, 58,
  -20, -10, 38, 3, 7, -36, 3, 32, 15, -23, -32, 22, -19, 18, -13, 33, -21, 20, -26, 14, -26, 37, -20, -39, 13,
  33, 31, 12, 12, -29, 11, -20, 1, 18, 17, 10, 20, -28, 7, 10, 45, 30, 23, -57, -28, 16, 3, 28, 7, -5, -7, 21,
  -34, -18, -26, -33, -35, 7, 24, -12, -7, 38, 50, -6, -10, -15, -14, -17, 19, -10, 36, -10, 39, -17, -21,
  -44, 14, -14, -22, -35, 43, 5, 19, 7, 4, -40, -46, -40, 57, 42, 25, -74, 3,
};
// What each output's sum starts at.
static const short l02_linear_bias[16] = {
  3918, 4403, -1717, -403, -1906, 3864, -673, -5330, -4252, 6557, 3180, 3493, -1130, 421, 3186, 1107,
};
// Places by which each output's sum is moved up, so that all are rounded at one place.
static const signed char l02_linear_shift[16] = {
  1, 1, 1, 0, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1,
};

// One window.
static void l02_linear_core(const t02_t x0[72], t03_t y[16]) {
  #pragma HLS INLINE
  // 1152 steps of 1 product(s): 1 output(s) and 1 addend(s) of each at a time.
  fx_int<19> sum[1];
  #pragma HLS ARRAY_PARTITION variable=sum complete dim=0
  int first_output = 0;
  int first_input = 0;
  folds: for (int step = 0; step < 1152; ++step) {
  #pragma HLS PIPELINE II=1
    outputs: for (int pe = 0; pe < 1; ++pe) {
    #pragma HLS UNROLL
      const int output = first_output + pe;
      fx_int<19> total = fx_int<14>(l02_linear_bias[output]);
      if (first_input != 0) total = sum[pe];
      addends: for (int simd = 0; simd < 1; ++simd) {
      #pragma HLS UNROLL
        const fx_int<8> x = fx_code(x0[first_input]);
        const fx_int<8> weight = fx_int<8>(l02_linear_weights[step]);
        total = total + x * weight;
      }
      sum[pe] = total;
      if (first_input == 71) {
        const fx_int<20> moved = fx_int<20>(total) << fx_uint<1>(l02_linear_shift[output]);
        fx_int<13> rounded = fx::shift_round<fx::RND, 8, 13>(moved);
        if (rounded < fx_int<13>(0)) rounded = fx_int<13>(0);
        FX_COUNT(l02_linear_overflow, (fx::overflowed<fx::SAT, 8, true>(rounded)));
        fx_set(y[output], fx::fit<fx::SAT, 8, true>(rounded));
      }
    }
    first_input += 1;
    if (first_input == 72) {
      first_input = 0;
      first_output += 1;
    }
  }
}

// Arrays: window by window.
void l02_linear_array(const t02_t x0[128], t03_t y[64]) {
  outputs_h: for (int out_h = 0; out_h < 2; ++out_h) {
    outputs_w: for (int out_w = 0; out_w < 2; ++out_w) {
      t02_t window[72];
      t03_t result[16];
      channels: for (int channel = 0; channel < 8; ++channel) {
        taps_h: for (int tap_h = 0; tap_h < 3; ++tap_h) {
          taps_w: for (int tap_w = 0; tap_w < 3; ++tap_w) {
            const int at_h = out_h * 2 + tap_h - 1;
            const int at_w = out_w * 2 + tap_w - 1;
            if (at_h >= 0 && at_h < 4 && at_w >= 0 && at_w < 4) {
              window[channel * 9 + tap_h * 3 + tap_w] = x0[channel * 16 + at_h * 4 + at_w];
            } else {
              fx_set(window[channel * 9 + tap_h * 3 + tap_w], fx_int<1>(0));
            }
          }
        }
      }
      l02_linear_core(window, result);
      scatter: for (int channel = 0; channel < 16; ++channel) {
        y[channel * 4 + out_h * 2 + out_w] = result[channel];
      }
    }
  }
  FX_TRACE_ALL(t03, y, 64);
}

// Streams: pixels pass line buffers; where a window ends at a pixel, its output is written.
void l02_linear(fx_channel<t02_beat>& x0, fx_channel<t03_beat>& y) {
  FX_PROCESS(l02_linear);
  // Rows of the padded image that went before, the oldest first.
  t02_t lines[2][6][8];
  #pragma HLS ARRAY_PARTITION variable=lines complete dim=1
  #pragma HLS ARRAY_RESHAPE variable=lines type=cyclic factor=8 dim=3
  // What the window sees: the rows of its taps, as many columns as it reaches over.
  t02_t seen[3][3][8];
  #pragma HLS ARRAY_PARTITION variable=seen complete dim=0
  int due_row = 2;
  rows: for (int row = 0; row < 6; ++row) {
    int due_column = 2;
    columns: for (int column = 0; column < 6; ++column) {
      t02_t newest[8];
      #pragma HLS ARRAY_PARTITION variable=newest complete dim=0
      if (row >= 1 && row < 5 && column >= 1 && column < 5) {
        const t02_beat read_token = x0.read();
        read_lanes: for (int lane = 0; lane < 8; ++lane) {
        #pragma HLS UNROLL
          newest[lane] = read_token.lane[lane];
        }
      } else {
        pad: for (int channel = 0; channel < 8; ++channel) {
        #pragma HLS UNROLL
          fx_set(newest[channel], fx_int<1>(0));
        }
      }
      shift: for (int channel = 0; channel < 8; ++channel) {
      #pragma HLS UNROLL
        shift_rows: for (int tap = 0; tap < 3; ++tap) {
        #pragma HLS UNROLL
          shift_columns: for (int place = 0; place < 2; ++place) {
          #pragma HLS UNROLL
            seen[tap][place][channel] = seen[tap][place + 1][channel];
          }
        }
        fill: for (int tap = 0; tap < 2; ++tap) {
        #pragma HLS UNROLL
          seen[tap][2][channel] = lines[tap][column][channel];
        }
        seen[2][2][channel] = newest[channel];
        age: for (int line = 0; line < 1; ++line) {
        #pragma HLS UNROLL
          lines[line][column][channel] = lines[line + 1][column][channel];
        }
        lines[1][column][channel] = newest[channel];
      }
      if (row == due_row && column == due_column) {
        t02_t window[72];
        #pragma HLS ARRAY_PARTITION variable=window complete dim=0
        t03_t result[16];
        #pragma HLS ARRAY_PARTITION variable=result complete dim=0
        gather: for (int channel = 0; channel < 8; ++channel) {
        #pragma HLS UNROLL
          gather_rows: for (int tap_h = 0; tap_h < 3; ++tap_h) {
          #pragma HLS UNROLL
            gather_columns: for (int tap_w = 0; tap_w < 3; ++tap_w) {
            #pragma HLS UNROLL
              window[(channel * 3 + tap_h) * 3 + tap_w] = seen[tap_h][tap_w][channel];
            }
          }
        }
        l02_linear_core(window, result);
        t03_beat write_token;
        write_lanes: for (int lane = 0; lane < 16; ++lane) {
        #pragma HLS UNROLL
          write_token.lane[lane] = result[lane];
          FX_TRACE(t03, result[lane]);
        }
        y.write(write_token);
        due_column += 2;
      }
    }
    if (row == due_row) due_row += 2;
  }
}
