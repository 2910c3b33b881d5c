// Exactly rounded quotients: fxnorm.fixed.arith.divide_round, without a divider where the divisor is a constant.
//
// Both forms compute x / (divisor · 2^SHIFT); a negative SHIFT moves x to the left first. The sign is taken off as n = x or -1 - x,
// and put back on the quotient: floor(x / d) = -1 - floor((-1 - x) / d) where x is negative.
#ifndef FX_DIVIDE_H
#define FX_DIVIDE_H

#include "fx_words.h"

namespace fx {

// Round a quotient with its remainder, 0 ≤ remainder < divisor.
template <rounding Q, int R, int D>
inline fx_int<R> round_quotient(const fx_int<R>& floor, const fx_uint<D>& remainder, const fx_uint<D>& divisor,
                                bool negative) {
  if (Q == TRN) return floor;
  fx_uint<D + 1> twice = remainder;
  twice = twice << 1;
  const fx_uint<D + 1> whole = divisor;
  const bool half = twice >= whole;
  const bool rest = remainder != 0 && twice != whole;
  return with_carry<R>(floor, carry<Q>(half, rest, negative, floor[0]));
}

// What is the same for both forms once floor(n / (divisor · 2^SHIFT)) is known.
template <rounding Q, int SHIFT, int R, int N, int W, int D>
inline fx_int<R> signed_quotient(bool negative, const fx_uint<W>& n, const fx_uint<N>& quotient, const fx_uint<D>& divisor) {
  fx_uint<D + SHIFT> denominator = divisor;
  denominator = denominator << SHIFT;
  // The remainder lies below the denominator: bits above it need not be computed.
  const fx_uint<N + D + SHIFT> back = quotient * denominator;
  const fx_uint<D + SHIFT> low = back;
  const fx_uint<D + SHIFT> own = n;
  fx_uint<D + SHIFT> remainder = own - low;
  fx_int<R> floor = quotient;
  if (negative) {
    remainder = denominator - fx_uint<1>(1) - remainder;
    floor = ~floor;
  }
  return round_quotient<Q, R, D + SHIFT>(floor, remainder, denominator, negative);
}

// Bits of |x| behind SHIFT places: what the magic number of a divisor must be good for.
constexpr int quotient_bits(int width, int shift) { return greater(width - 1 - shift, 1); }

// Divide by a constant, through its reciprocal: floor(n · magic / 2^PLACES) must be floor(n / divisor) for every n of
// quotient_bits(W, SHIFT) bits (fxnorm/hls/quotient.py finds and proves such numbers).
//   fx_int<9> y = fx::divide_round<fx::RND, 0, 9, 9>(sum, fx_uint<4>(9), fx_uint<6>(57));      of an fx_int<9>
template <rounding Q, int SHIFT, int PLACES, int R, int W, int D, int M>
inline fx_int<R> divide_round(const fx_int<W>& x, const fx_uint<D>& divisor, const fx_uint<M>& magic) {
#pragma HLS INLINE
  const int left = SHIFT < 0 ? -SHIFT : 0;
  const int right = SHIFT < 0 ? 0 : SHIFT;
  const int bits = quotient_bits(W, SHIFT);
  fx_int<W + left> wide = x;
  wide = wide << left;
  const bool negative = wide < 0;
  if (negative) wide = ~wide;
  const fx_uint<W + left> n = wide;
  const fx_uint<bits> whole = n >> lesser(right, W + left - 1);
  const fx_uint<greater(bits + M, PLACES + 1)> product = whole * magic;
  const fx_uint<bits> quotient = product >> PLACES;
  return signed_quotient<Q, right, R>(negative, n, quotient, divisor);
}

// Divide by a positive integer that is known at run time only: restoring division, one bit of the quotient a step.
//   fx_int<9> y = fx::divide_round<fx::RND_CONV, 0, 9>(sum, count);
template <rounding Q, int SHIFT, int R, int W, int D>
inline fx_int<R> divide_round(const fx_int<W>& x, const fx_uint<D>& divisor) {
#pragma HLS INLINE
  const int left = SHIFT < 0 ? -SHIFT : 0;
  const int right = SHIFT < 0 ? 0 : SHIFT;
  const int bits = quotient_bits(W, SHIFT);
  fx_int<W + left> wide = x;
  wide = wide << left;
  const bool negative = wide < 0;
  if (negative) wide = ~wide;
  const fx_uint<W + left> n = wide;
  const fx_uint<bits> whole = n >> lesser(right, W + left - 1);
  fx_uint<bits> quotient = 0;
  fx_uint<D + 1> remainder = 0;
  const fx_uint<D + 1> by = divisor;
fx_divide:
  for (int place = bits - 1; place >= 0; --place) {
    const fx_uint<1> next = whole[place];
    remainder = remainder << 1;
    remainder = remainder | next;
    quotient = quotient << 1;
    if (remainder >= by) {
      remainder = remainder - by;
      quotient = quotient | fx_uint<1>(1);
    }
  }
  return signed_quotient<Q, right, R>(negative, n, quotient, divisor);
}

}  // namespace fx

#endif
