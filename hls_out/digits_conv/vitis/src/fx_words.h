// Leading ones, shifts that widen, and exact products: what fxnorm/fixed/words.py defines, under the same names.
//
// Widths follow from the types: no product and no shift here loses a bit that the result's width R holds.
#ifndef FX_WORDS_H
#define FX_WORDS_H

#include "fx_arith.h"

namespace fx {

// Number of bits of an unsigned integer: one more than the place of its leading one, 0 for 0.
//   int places = fx::bit_length<24>(n);
template <int W>
inline int bit_length(const fx_uint<W>& n) {
#pragma HLS INLINE
  // Halve the places that are left: is anything set in the upper half?
  const int halvings = W > 1 ? width_of(W - 1) : 0;
  fx_uint<W> rest = n;
  int length = 0;
#pragma hls_unroll yes
fx_bit_length:
  for (int half = halvings - 1; half >= 0; --half) {
#pragma HLS UNROLL
    const fx_uint<W> upper = rest >> (1 << half);
    if (upper != 0) {
      rest = upper;
      length |= 1 << half;
    }
  }
  if (rest != 0) ++length;
  return length;
}

// |x|, which also holds that of the lowest code.
template <int W>
inline fx_uint<W> magnitude(const fx_int<W>& x) {
  fx_int<W + 1> wide = x;
  if (wide < 0) wide = -wide;
  const fx_uint<W> result = wide;
  return result;
}

// x · 2^places, exact where R bits hold it; 0 ≤ places ≤ MOST.
//   fx_int<60> y = fx::shift_left<12, 60>(x, 12 - exponent);
template <int MOST, int R, int W>
inline fx_int<R> shift_left(const fx_int<W>& x, int places) {
  static_assert(MOST >= 0 && MOST < R, "the result is too narrow for any code but 0");
  const fx_uint<width_of(MOST)> bounded = places;
  const fx_int<R> wide = x;
  const fx_int<R> result = wide << bounded;
  return result;
}

// A positive integer with its leading one brought to place P, low bits dropped (zeros appended), and the place where it was.
//   int place;  fx_uint<18> m = fx::normalize<17>(n, place);
template <int P, int W>
inline fx_uint<P + 1> normalize(const fx_uint<W>& n, int& place) {
#pragma HLS INLINE
  // To the left end first: one shifter, of as many places as there are zeros in front.
  const int width = greater(W, P + 1);
  const int length = bit_length<W>(n);
  const fx_uint<width_of(width)> zeros = width - length;
  fx_uint<width> wide = n;
  wide = wide << zeros;
  const fx_uint<P + 1> mantissa = wide >> (width - 1 - P);
  place = length - 1;
  return mantissa;
}

// floor(a · b / 2^SHIFT), exact.
template <int SHIFT, int R, int A, int B>
inline fx_int<R> multiply_shift(const fx_int<A>& a, const fx_uint<B>& b) {
  const fx_int<greater(A + B, SHIFT + 1)> product = a * b;
  const fx_int<R> result = product >> SHIFT;
  return result;
}

// An entry of a table of native integers, as an integer of R bits.
template <int R, typename C, int N>
inline fx_int<R> entry(const C (&table)[N], int index) {
#pragma HLS INLINE
  const fx_int<R> result = static_cast<long long>(table[index]);
  return result;
}

// Polynomials in integers: acc = c[k][segment] + floor(acc · u / 2^P), k descending to 0. One table a coefficient, constant term
// first. WIDTHS has position_bits (P), multiplicand_bits and accumulator_bits, as fx::segment_widths and fx::exp2_widths do.
//   fx_int<25> acc = fx::horner<widths>(segment, u, c0, c1, c2);
template <typename WIDTHS, typename U, typename C0, int N>
inline fx_int<WIDTHS::accumulator_bits + 1> horner(int segment, const U& u, const C0 (&c0)[N]) {
#pragma HLS INLINE
  return entry<WIDTHS::accumulator_bits + 1>(c0, segment);
}

// One step: the next coefficient added to a multiplied accumulator.
template <typename WIDTHS, int R, typename U, typename C, int N>
inline fx_int<R> horner_step(int segment, const U& u, const fx_int<WIDTHS::multiplicand_bits + 1>& multiplied,
                             const C (&table)[N]) {
#pragma HLS INLINE
  const fx_int<R> product =
      multiply_shift<WIDTHS::position_bits, R, WIDTHS::multiplicand_bits + 1, greater(WIDTHS::position_bits, 1)>(
          multiplied, u);
  const fx_int<R> sum = entry<R>(table, segment) + product;
  return sum;
}

template <typename WIDTHS, typename U, typename C0, typename C1, int N>
inline fx_int<WIDTHS::accumulator_bits + 1> horner(int segment, const U& u, const C0 (&c0)[N], const C1 (&c1)[N]) {
#pragma HLS INLINE
  const fx_int<WIDTHS::multiplicand_bits + 1> slope = entry<WIDTHS::multiplicand_bits + 1>(c1, segment);
  return horner_step<WIDTHS, WIDTHS::accumulator_bits + 1>(segment, u, slope, c0);
}

template <typename WIDTHS, typename U, typename C0, typename C1, typename C2, int N>
inline fx_int<WIDTHS::accumulator_bits + 1> horner(int segment, const U& u, const C0 (&c0)[N], const C1 (&c1)[N],
                                                   const C2 (&c2)[N]) {
#pragma HLS INLINE
  const int multiplicand = WIDTHS::multiplicand_bits + 1;
  fx_int<multiplicand> acc = entry<multiplicand>(c2, segment);
  acc = horner_step<WIDTHS, multiplicand>(segment, u, acc, c1);
  return horner_step<WIDTHS, WIDTHS::accumulator_bits + 1>(segment, u, acc, c0);
}

template <typename WIDTHS, typename U, typename C0, typename C1, typename C2, typename C3, int N>
inline fx_int<WIDTHS::accumulator_bits + 1> horner(int segment, const U& u, const C0 (&c0)[N], const C1 (&c1)[N],
                                                   const C2 (&c2)[N], const C3 (&c3)[N]) {
#pragma HLS INLINE
  const int multiplicand = WIDTHS::multiplicand_bits + 1;
  fx_int<multiplicand> acc = entry<multiplicand>(c3, segment);
  acc = horner_step<WIDTHS, multiplicand>(segment, u, acc, c2);
  acc = horner_step<WIDTHS, multiplicand>(segment, u, acc, c1);
  return horner_step<WIDTHS, WIDTHS::accumulator_bits + 1>(segment, u, acc, c0);
}

}  // namespace fx

#endif
