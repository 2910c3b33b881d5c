// Reciprocals and reciprocal square roots of positive integers of any width: fxnorm/fixed/roots.py, under the same names.
//
// Leading one, a table of straight lines, one Newton step. The tables are those of the plan, of native integers.
#ifndef FX_ROOTS_H
#define FX_ROOTS_H

#include "fx_words.h"

namespace fx {

// Widths that follow from the bits of the result; roots.py derives them.
template <int BITS>
struct root_widths {
  static_assert(BITS >= 4 && BITS <= 40, "a reciprocal has 4 to 40 bits");
  static const int index_bits = (BITS + 3) / 4;
  static const int start_bits = (BITS + 1) / 2 + 5;
  static const int slope_bits = start_bits - index_bits;
  static const int position_bits = BITS + 3;
  static const int inner_bits = BITS + 5;
  // 2^inner_bits - p, with its sign: the start is good to half the bits and two more, of a root to one more.
  static const int correction_bits = inner_bits - BITS / 2;
};

// The start: a straight line of the table, at a mantissa. Below 2^start_bits.
template <int BITS, typename A, typename B, int N>
inline fx_uint<root_widths<BITS>::start_bits> root_start(const fx_uint<BITS + 4>& mantissa, bool upper_half,
                                                         const A (&intercepts)[N], const B (&slopes)[N]) {
#pragma HLS INLINE
  typedef root_widths<BITS> widths;
  const fx_uint<widths::position_bits> fraction = mantissa;
  const fx_uint<widths::start_bits> top = fraction >> (widths::position_bits - widths::start_bits);
  const fx_uint<widths::slope_bits> t = top;
  const fx_uint<widths::index_bits> line = top >> widths::slope_bits;
  const int index = line.to_int() + (upper_half ? N / 2 : 0);
  const fx_uint<widths::start_bits> intercept = static_cast<long long>(intercepts[index]);
  const fx_uint<widths::slope_bits> slope = static_cast<long long>(slopes[index]);
  const fx_uint<2 * widths::slope_bits> fall = slope * t;
  const fx_uint<widths::start_bits> start = intercept - (fall >> widths::slope_bits);
  return start;
}

// Newton's step: start + start · (1 - p) / 2^HALVINGS, rounded half up to BITS bits, at most 2^BITS - 1.
template <int BITS, int HALVINGS>
inline fx_uint<BITS> newton_step(const fx_uint<root_widths<BITS>::start_bits>& start,
                                 const fx_uint<root_widths<BITS>::inner_bits + 1>& p) {
  typedef root_widths<BITS> widths;
  const int drop = widths::inner_bits - BITS;
  fx_uint<widths::inner_bits + 1> one = 1;
  one = one << widths::inner_bits;
  const fx_int<widths::correction_bits> correction = one - p;
  fx_int<widths::inner_bits + 2> result = start;
  result = result << (widths::inner_bits - widths::start_bits);
  result = result + multiply_shift<widths::start_bits + HALVINGS, widths::correction_bits, widths::correction_bits,
                                   widths::start_bits>(correction, start);
  fx_int<widths::inner_bits + 2> half = 1;
  half = half << (drop - 1);
  result = result + half;
  const fx_uint<BITS + 1> rounded = result >> drop;
  fx_uint<BITS> mantissa = rounded;
  if (rounded[BITS]) mantissa = -1;
  return mantissa;
}

// 1/n ≈ mantissa · 2^-exponent for a positive n, with 2^(BITS-1) ≤ mantissa < 2^BITS.
//   int exponent;  fx_uint<20> r = fx::reciprocal<20>(n, intercepts, slopes, exponent);
template <int BITS, int W, typename A, typename B, int N>
inline fx_uint<BITS> reciprocal(const fx_uint<W>& n, const A (&intercepts)[N], const B (&slopes)[N], int& exponent) {
#pragma HLS INLINE
  typedef root_widths<BITS> widths;
  static_assert(N == 1 << widths::index_bits, "the table of a reciprocal has 2^index_bits lines");
  int place;
  const fx_uint<BITS + 4> m = normalize<widths::position_bits, W>(n, place);
  const fx_uint<widths::start_bits> start = root_start<BITS>(m, false, intercepts, slopes);
  const fx_uint<BITS + 4 + widths::start_bits> product = m * start;
  const fx_uint<widths::inner_bits + 1> p =
      product >> (widths::position_bits + widths::start_bits - widths::inner_bits);
  exponent = place + BITS;
  return newton_step<BITS, 0>(start, p);
}

// 1/√n ≈ mantissa · 2^-exponent for a positive n, with 2^(BITS-1) ≤ mantissa < 2^BITS.
//   int exponent;  fx_uint<20> r = fx::reciprocal_root<20>(n, intercepts, slopes, exponent);
template <int BITS, int W, typename A, typename B, int N>
inline fx_uint<BITS> reciprocal_root(const fx_uint<W>& n, const A (&intercepts)[N], const B (&slopes)[N],
                                     int& exponent) {
#pragma HLS INLINE
  typedef root_widths<BITS> widths;
  static_assert(N == 2 << widths::index_bits, "the table of a root has 2^index_bits lines from 1 and as many from 2");
  int place;
  const fx_uint<BITS + 4> m = normalize<widths::position_bits, W>(n, place);
  const bool odd = place % 2 != 0;
  const fx_uint<widths::start_bits> start = root_start<BITS>(m, odd, intercepts, slopes);
  fx_uint<BITS + 5> u = m;
  if (odd) u = u << 1;
  const fx_uint<BITS + 5 + widths::start_bits> product = u * start;
  const fx_uint<widths::inner_bits + 2> root =
      product >> (widths::position_bits + widths::start_bits - widths::inner_bits);
  const fx_uint<widths::inner_bits + 2 + widths::start_bits> square = root * start;
  const fx_uint<widths::inner_bits + 1> p = square >> widths::start_bits;
  exponent = place / 2 + BITS;
  return newton_step<BITS, 1>(start, p);
}

}  // namespace fx

#endif
