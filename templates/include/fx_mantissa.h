// Products with mantissas whose exponent is known at run time only (fxnorm/kernels/mantissa.py), and the leading one of a float32
// word (fxnorm/kernels/leading_one.py).
#ifndef FX_MANTISSA_H
#define FX_MANTISSA_H

#include "fx_words.h"

namespace fx {

// floor(a · mantissa / 2^shift) with LOW ≤ shift ≤ HIGH. With STICKY the lowest bit is set where anything was cut off, so that two
// or more bits dropped later round as the uncut number would.
//   fx_int<40> p = fx::product<true, 3, 50, 40>(a, mantissa, exponent + 7);
template <bool STICKY, int LOW, int HIGH, int R, int A, int M>
inline fx_int<R> product(const fx_int<A>& a, const fx_uint<M>& mantissa, int shift) {
#pragma HLS INLINE
  static_assert(LOW <= HIGH, "an empty range of shifts");
  const int left = LOW < 0 ? -LOW : 0;
  const int width = A + M + left + 1;
  // From so many places on nothing but the sign and the sticky bit are left.
  const int most = greater(lesser(HIGH + left, width - 1), 0);
  int bounded = shift + left;
  if (bounded > most) bounded = most;
  const fx_uint<width_of(most)> places = bounded;
  fx_int<width> exact = a * mantissa;
  exact = exact << left;
  fx_int<width> kept = exact >> places;
  if (STICKY) {
    const fx_uint<width> one = 1;
    const fx_uint<width> mask = (one << places) - one;
    fx_uint<width> cut = exact;
    cut = cut & mask;
    if (cut != 0) kept[0] = 1;
  }
  const fx_int<R> result = kept;
  return result;
}

// Mantissa (24 bits, the upper one set), exponent of the leading one, and whether the number is zero; of a float32 word without
// its sign. A zero has the mantissa 2^23.
inline fx_uint<24> leading_one(const fx_uint<31>& word, int& exponent, bool& zero) {
#pragma HLS INLINE
  const fx_uint<23> fraction = word;
  const fx_uint<8> field = word >> 23;
  const bool subnormal = field == 0;
  zero = subnormal && fraction == 0;
  const int length = bit_length<23>(fraction);
  // A subnormal word has its leading one somewhere in the fraction.
  int places = subnormal ? 24 - length : 0;
  if (zero) places = 23;
  const fx_uint<5> bounded = places;
  fx_uint<24> mantissa = fraction;
  if (!subnormal || zero) mantissa[23] = 1;
  if (!zero) mantissa = mantissa << bounded;
  exponent = subnormal ? -126 - places : field.to_int() - 127;
  return mantissa;
}

}  // namespace fx

#endif
