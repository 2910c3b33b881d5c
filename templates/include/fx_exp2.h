// 2^-f and the exponentials of softmax: fxnorm/fixed/exponential.py, and the inner step of fxnorm/kernels/softmax.py.
#ifndef FX_EXP2_H
#define FX_EXP2_H

#include "fx_words.h"

namespace fx {

// The fields of an Exp2, by their names.
//   typedef fx::exp2_widths<16, 4, 12, 5, 17, 21> l05_exp2;
template <int BITS, int SEGMENT, int POSITION, int GUARD, int MULTIPLICAND, int ACCUMULATOR>
struct exp2_widths {
  static const int bits = BITS;
  static const int segment_bits = SEGMENT;
  static const int position_bits = POSITION;
  static const int guard_bits = GUARD;
  static const int multiplicand_bits = MULTIPLICAND;
  static const int accumulator_bits = ACCUMULATOR;
};

// 2^-(f / 2^bits) ≈ result / 2^bits. One table a coefficient, constant term first.
//   fx_uint<16> r = fx::exp2<l05_exp2>(f, l05_c0, l05_c1);
template <typename WIDTHS, typename... TABLES>
inline fx_uint<WIDTHS::bits> exp2(const fx_uint<WIDTHS::bits>& f, const TABLES&... coefficients) {
#pragma HLS INLINE
  const int bits = WIDTHS::bits;
  const int inside = bits - WIDTHS::segment_bits;
  fx_uint<greater(WIDTHS::position_bits, 1)> u = 0;
  if (WIDTHS::position_bits > 0) {
    const fx_uint<greater(inside, 1)> low = f;
    u = low >> (inside - WIDTHS::position_bits);
  }
  int segment = 0;
  if (WIDTHS::segment_bits > 0) {
    const fx_uint<greater(WIDTHS::segment_bits, 1)> high = f >> (inside < bits ? inside : 0);
    segment = high.to_int();
  }
  const fx_int<WIDTHS::accumulator_bits + 1> acc = horner<WIDTHS>(segment, u, coefficients...);
  const int kept = greater(WIDTHS::accumulator_bits + 2 - WIDTHS::guard_bits, bits + 2);
  const fx_int<kept> rounded = shift_round<RND, WIDTHS::guard_bits, kept, WIDTHS::accumulator_bits + 1>(acc);
  fx_int<kept> top = 1;
  top = (top << bits) - fx_int<2>(1);
  const fx_uint<bits> result = minimum<fx_int<kept> >(rounded, top);
  return result;
}

// 2^P · exp(-distance), one unit wide at distance 0 and no more at any other, with P = WIDTHS::bits: t = floor(min(distance, limit) ·
// log2e / 2^LOG2E_SHIFT) is the exponent of 2 with P fraction bits. `distance`, `limit` and `log2e` are the kernel's.
//   fx_uint<17> e = fx::exponential<l05_exp2, 20>(maximum - x, limit, log2e, l05_c0, l05_c1);
template <typename WIDTHS, int LOG2E_SHIFT, int D, int N, int L, typename... TABLES>
inline fx_uint<WIDTHS::bits + 1> exponential(const fx_uint<D>& distance, const fx_uint<N>& limit,
                                             const fx_uint<L>& log2e, const TABLES&... coefficients) {
#pragma HLS INLINE
  const int bits = WIDTHS::bits;
  const int most = bits + 1;
  const int width = greater(N + L, greater(LOG2E_SHIFT, bits) + 1);
  const fx_uint<greater(D, N)> nearer = minimum<fx_uint<greater(D, N)> >(distance, limit);
  const fx_uint<N> bounded = nearer;
  const fx_uint<width> product = bounded * log2e;
  fx_uint<width> t = product >> LOG2E_SHIFT;
  // 2^-t is zero from t = P + 1 on.
  fx_uint<width> power = t >> bits;
  const fx_uint<bits> fraction = t;
  int places = most;
  const fx_uint<width> last = most;
  if (power < last) places = power.to_int();
  const fx_uint<width_of(most)> shift = places;
  const fx_uint<bits + 2> mantissa = exp2<WIDTHS>(fraction, coefficients...);
  fx_uint<bits + 1> result = mantissa >> shift;
  if (distance == 0) {
    result = 0;
    result[bits] = 1;
  }
  return result;
}

}  // namespace fx

#endif
