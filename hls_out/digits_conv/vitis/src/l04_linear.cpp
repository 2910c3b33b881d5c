// l04_linear: dense layer: 64 inputs an output, 10 outputs
#include "l04_linear.h"

#include "fx_arith.h"
#include "probes.h"

// Weights in the order of the steps: 1 output(s) by 1 addend(s) each.
static const signed char l04_linear_weights[640] = {
  -6, 0, 12, 16, 6, -21, -18, -13, 3, -20, 0, 27, -14, -43, -15, 12, -11, -14, -43, -32, 1, 10, 27, 1, -14,
  -49, 17, 37, -16, 2, -26, -14, -23, -43, -18, -21, 5, -29, -6, -17, 5, 44, 26, -13, -28, 12, 2, -3, -13,
  -82, 7, 36, -4, -21, -4, 32, 5, -28, -16, -6, -7, 12, -24, -26, 11, -12, 19, -47, -18, 30, 27, -24, -74, 11,
  -33, -30, -39, -36, -4, -60, 40, -5, 5, 36, 6, -19, -20, -15, 5, 18, 19, 38, 22, 8, -18, -78, -1, -36, -10,
  9, 20, -1, -20, 59, -15, -17, -9, -31, -5, 37, 14, 28, 5, -50, -8, -37, -11, 40, 35, -13, 5, -39, 5, -3,
  -65, 36, -7, -13, -71, -59, 28, 3, 24, -90, -32, -63, 38, -14, 47, 107, 42, -36, 9, -31, -24, 39, 25, 54,
  -51, -39, -52, 82, -21, -3, -81, -94, -15, -21, -15, -36, 22, 8, 25, 45, -26, -50, 72, 45, -17, -11, -32, 5,
  -64, 1, -17, -18, -23, -30, -41, -37, 44, -73, -40, 35, -12, -8, 17, -28, 19, -43, -56, 46, -18, -4, 14,
  -64, -23, -45, -8, 109, 9, -8, -69, -57, 51, 6, -45, 56, -37, -46, 33, -67, -34, -84, 8, -16, 9, -33, 16,
  -4, -11, 7, 46, -31, 53, 28, -3, 32, -69, -92, -9, -80, -24, -75, 84, -40, 36, -30, 94, 72, -20, -94, -1,
  -44, -41, -83, -62, -39, -83, -43, -59, 58, 62, -73, -6, -75, 1, 16, -53, -38, 1, -6, -17, 15, 11, -11, 25,
  27, 3, -19, 24, -1, 26, 17, -36, 8, -17, 24, 39, 6, -32, 1, -18, 12, 2, 6, -8, 67, -36, 56, 9, -28, -17, -8,
  11, -44, 2, 8, -21, -5, -16, -12, 27, 0, 16, -14, -21, -34, -5, 34, -33, -28, -6, -19, -66, -43, -39, -18,
  15, 18, -21, -22, -16, -21, 8, -48, -32, -1, -16, 14, 12, -11, -3, 3, -5, -23, -14, 27, 3, 9, 12, -12, -31,
  12, 14, -37, -13, -5, -17, 0, -5, -11, -8, -87, 2, -22, 6, -9, 0, -55, 20, -58, -21, -3, 12, -21, -15, 13,
  -40, 56, 14, 30, 28, -16, -10, 7, 32, -12, -34, -19, -12, 56, 10, 0, 22, -1, 0, -17, 17, -54, 2, -8, -29,
  -18, -9, -28, 36, 1, -6, 36, 9, 7, -11, -63, -54, 0, 3, 3, -3, 23, 25, -56, 10, 5, -33, -82, -26, 35, -16,
  -37, 5, -10, -4, -16, 1, -55, 2, 16, -56, -13, 17, -27, -51, 14, -9, 13, -26, 1, 8, 13, 22, 35, 45, 4, 1, 6,
  -58, 14, -15, -11, 94, -23, 2, -48, 15, -119, -6, 80, -51, -85, -19, 38, 48, 39, -31, -22, -12, 0, -50, -97,
  -58, -101, 43, 25, -38, 62, 33, 52, 57, 47, 24, -120, 2, -39, -58, 13, -87, -117, 65, -30, -62, 30, 48, -42,
  -96, -58, -11, -63, -46, -5, -23, -59, 51, 0, -48, 86, 58, 14, 64, -41, -31, 96, 6, 7, 6, 51, -17, -12, -14,
  40, -6, -13, 27, -31, -48, 15, 5, -74, -21, -27, -38, 0, 20, 7, -5, -82, 17, -25, -13, -40, -15, -4, -56,
  -23, 6, -8, 33, 16, 19, -2, -8, 1, 0, 33, -9, 41, 28, -4, -76, -31, 37, 21, -37, -2, 2, -19, 2, -19, -1, -2,
  22, 36, -16, -36, -40, -27, -4, -28, -64, 43, -1, 37, 28, -29, 22, -21, -39, 10, -15, 31, -26, 9, -18, -30,
  35, -17, 21, 11, -14, 19, -7, 24, 13, -42, -24, -53, 20, 6, -10, -36, -37, -15, 27, 45, -1, -57, -7, 10, 15,
  -58, -16, -3, 21, -82, -12, -53, 48, -3, 6, -19, -27, -36, -7, 30, -38, -4, -3, -27, 36, -7,
};
// What each output's sum starts at.
static const short l04_linear_bias[10] = {
  -55, 90, -421, -35, -234, -164, 122, -185, 61, 79,
};
// Places by which each output's sum is moved up, so that all are rounded at one place.
static const signed char l04_linear_shift[10] = {
  1, 1, 0, 0, 1, 1, 1, 0, 1, 1,
};

// One row.
static void l04_linear_core(const t04_t x0[64], t05_t y[10]) {
  #pragma HLS INLINE
  // 640 steps of 1 product(s): 1 output(s) and 1 addend(s) of each at a time.
  fx_int<19> sum[1];
  #pragma HLS ARRAY_PARTITION variable=sum complete dim=0
  int first_output = 0;
  int first_input = 0;
  folds: for (int step = 0; step < 640; ++step) {
  #pragma HLS PIPELINE II=1
    outputs: for (int pe = 0; pe < 1; ++pe) {
    #pragma HLS UNROLL
      const int output = first_output + pe;
      fx_int<19> total = fx_int<10>(l04_linear_bias[output]);
      if (first_input != 0) total = sum[pe];
      addends: for (int simd = 0; simd < 1; ++simd) {
      #pragma HLS UNROLL
        const fx_int<8> x = fx_code(x0[first_input]);
        const fx_int<8> weight = fx_int<8>(l04_linear_weights[step]);
        total = total + x * weight;
      }
      sum[pe] = total;
      if (first_input == 63) {
        const fx_int<20> moved = fx_int<20>(total) << fx_uint<1>(l04_linear_shift[output]);
        fx_int<13> rounded = fx::shift_round<fx::RND, 8, 13>(moved);
        FX_COUNT(l04_linear_overflow, (fx::overflowed<fx::SAT, 8, true>(rounded)));
        fx_set(y[output], fx::fit<fx::SAT, 8, true>(rounded));
      }
    }
    first_input += 1;
    if (first_input == 64) {
      first_input = 0;
      first_output += 1;
    }
  }
}

// Arrays: row by row.
void l04_linear_array(const t04_t x0[64], t05_t y[10]) {
  t04_t row0[64];
  t05_t result[10];
  gather0: for (int entry = 0; entry < 64; ++entry) {
    row0[entry] = x0[entry];
  }
  l04_linear_core(row0, result);
  scatter: for (int entry = 0; entry < 10; ++entry) {
    y[entry] = result[entry];
  }
  FX_TRACE_ALL(t05, y, 10);
}

// Streams: a row is read, computed and written.
void l04_linear(fx_channel<t04_beat>& x0, fx_channel<t05_beat>& y) {
  FX_PROCESS(l04_linear);
  rows: for (int row = 0; row < 1; ++row) {
    t04_t row0[64];
    #pragma HLS ARRAY_PARTITION variable=row0 complete dim=0
    t05_t result[10];
    #pragma HLS ARRAY_PARTITION variable=result complete dim=0
    const t04_beat read0_token = x0.read();
    read0_lanes: for (int lane = 0; lane < 64; ++lane) {
    #pragma HLS UNROLL
      row0[lane] = read0_token.lane[lane];
    }
    l04_linear_core(row0, result);
    t05_beat write_token;
    write_lanes: for (int lane = 0; lane < 10; ++lane) {
    #pragma HLS UNROLL
      write_token.lane[lane] = result[lane];
      FX_TRACE(t05, result[lane]);
    }
    y.write(write_token);
  }
}
