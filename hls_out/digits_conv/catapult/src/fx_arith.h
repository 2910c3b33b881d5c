// Rounding shifts, quotients and overflow of codes: what fxnorm/fixed/arith.py defines, under the same names.
//
// Include the dialect's types first (fx_types_ac.h or fx_types_ap.h): they give fx_int<W> and fx_uint<W>, the signed and the
// unsigned integer of W bits. Nothing here knows which of the two dialects it is compiled for.
//
// Conventions: the template argument R is the width of a result, named by the caller who has proven that it suffices. What can
// be negative is an fx_int. Arguments that a call names come first, widths that it may leave to deduction last; name those too
// where an argument is an expression. Nothing is dropped in silence but by `fit`, and `overflowed` tells where that was.
#ifndef FX_ARITH_H
#define FX_ARITH_H

namespace fx {

// What happens to the bits below the last one kept; see semantics in fxnorm/fixed/modes.py.
enum rounding { TRN, TRN_ZERO, RND, RND_ZERO, RND_INF, RND_MIN_INF, RND_CONV, RND_CONV_ODD };

// What happens to a rounded code that the format cannot hold.
enum overflow { WRAP, SAT, SAT_ZERO, SAT_SYM };

// The integer that holds codes of a format of W bits: code_of<W, S>::type.
template <int W, bool S>
struct code_of {
  typedef fx_int<W> type;
};
template <int W>
struct code_of<W, false> {
  typedef fx_uint<W> type;
};

constexpr int greater(int a, int b) { return a > b ? a : b; }
constexpr int lesser(int a, int b) { return a < b ? a : b; }

// Bits that hold 0 to n, at least one.
constexpr int width_of(int n) {
  int bits = 1;
  for (int place = 1; place < 31; ++place) {
    if ((n >> place) != 0) bits = place + 1;
  }
  return bits;
}

// Whether a mode asks for more than the first dropped bit.
constexpr bool needs_rest(rounding mode) { return mode != TRN && mode != RND; }

// Whether one is added to the floor. half: what is dropped is at least one half. rest: it is neither 0 nor one half. odd: the
// lowest bit of the floor.
template <rounding Q>
inline bool carry(bool half, bool rest, bool negative, bool odd) {
  switch (Q) {
    case TRN_ZERO:
      return negative && (half || rest);
    case RND:
      return half;
    case RND_ZERO:
      return half && (negative || rest);
    case RND_INF:
      return half && (!negative || rest);
    case RND_MIN_INF:
      return half && rest;
    case RND_CONV:
      return half && (odd || rest);
    case RND_CONV_ODD:
      return half && (!odd || rest);
    default:
      return false;
  }
}

// floor + 1 where the carry is set.
template <int R>
inline fx_int<R> with_carry(const fx_int<R>& floor, bool carry) {
  const fx_uint<1> one = carry;
  const fx_int<R> result = floor + one;
  return result;
}

// x / 2^SHIFT, rounded. A negative SHIFT is an exact shift to the left.
//   fx_int<9> y = fx::shift_round<fx::RND, 3, 9>(x);
template <rounding Q, int SHIFT, int R, int W>
inline fx_int<R> shift_round(const fx_int<W>& x) {
  static_assert(SHIFT > -R, "the result is too narrow for any code but 0");
  if (SHIFT <= 0) {
    fx_int<R> wide = x;
    return wide << (SHIFT < 0 ? -SHIFT : 0);
  }
  // From W + 1 bits on the value lies within a quarter, and the result no longer depends on the shift.
  const int drop = SHIFT <= 0 ? 1 : lesser(SHIFT, W + 1);
  fx_int<greater(W, drop + 1)> wide = x;
  fx_int<R> floor = wide >> drop;
  bool rest = false;
  if (needs_rest(Q) && drop > 1) {
    fx_uint<greater(drop - 1, 1)> dropped = wide;
    rest = dropped != 0;
  }
  return with_carry<R>(floor, carry<Q>(wide[drop - 1], rest, wide < 0, wide[drop]));
}

// The same with a shift that is known at run time only, between LOW and HIGH, both included.
//   fx_int<12> y = fx::shift_round<fx::RND_CONV, -2, 7, 12>(x, shift[channel]);
template <rounding Q, int LOW, int HIGH, int R, int W>
inline fx_int<R> shift_round(const fx_int<W>& x, int shift) {
  static_assert(LOW <= HIGH, "an empty range of shifts");
  // One barrel shifter to the right for all of them, with the first dropped bit kept below the floor.
  const int left = LOW < 0 ? -LOW : 0;
  const int most = greater(lesser(HIGH + left, W + left + 1), 0);
  typedef fx_uint<width_of(most)> places_t;
  int bounded = shift + left;
  if (bounded > most) bounded = most;
  places_t places = bounded;
  fx_int<W + left + 2> doubled = x;
  doubled = doubled << (left + 1);
  fx_int<W + left + 2> kept = doubled >> places;
  fx_int<R> floor = kept >> 1;
  bool rest = false;
  if (needs_rest(Q)) {
    fx_uint<W + left + 2> one = 1;
    fx_uint<W + left + 2> mask = (one << places) - one;
    fx_uint<W + left + 2> dropped = doubled;
    dropped = dropped & mask;
    rest = dropped != 0;
  }
  return with_carry<R>(floor, carry<Q>(kept[0], rest, x < 0, kept[1]));
}

// A format's range inside wider integers of C bits.
template <overflow O, int W, bool S, int C>
inline fx_int<C> max_code() {
  fx_int<C> one = 1;
  fx_int<C> power = one << (S ? W - 1 : W);
  return power - one;
}
template <overflow O, int W, bool S, int C>
inline fx_int<C> lowest_code() {
  fx_int<C> low = 0;
  if (S) low = -max_code<O, W, S, C>();
  if (S && (O != SAT_SYM || W == 1)) low = low - fx_int<2>(1);
  return low;
}

// Whether every integer of A bits, signed, is a code of the format.
template <overflow O, int W, bool S, int A>
constexpr bool holds() {
  return S && A <= W && (O != SAT_SYM || W == 1 || A < W);
}

// Whether `fit` would change the code (for SAT_SYM this includes -2^(W-1)).
//   FX_COUNT(layer, (fx::overflowed<fx::SAT, 8, true>(y)));
template <overflow O, int W, bool S, int A>
inline bool overflowed(const fx_int<A>& x) {
  if (holds<O, W, S, A>()) return false;
  const int C = greater(A, W + 1);
  fx_int<C> wide = x;
  fx_int<C> low = lowest_code<O, W, S, C>();
  fx_int<C> high = max_code<O, W, S, C>();
  return wide < low || wide > high;
}

// A code brought into the range of a format of W bits, signed or not, by its overflow mode.
//   fx_int<8> code = fx::fit<fx::SAT, 8, true>(y);      fx_uint<8> code = fx::fit<fx::WRAP, 8, false>(y);
template <overflow O, int W, bool S, int A>
inline typename code_of<W, S>::type fit(const fx_int<A>& x) {
  typedef typename code_of<W, S>::type code_t;
  if (O == WRAP || holds<O, W, S, A>()) {
    code_t low_bits = x;
    return low_bits;
  }
  const int C = greater(A, W + 1);
  fx_int<C> wide = x;
  fx_int<C> low = lowest_code<O, W, S, C>();
  fx_int<C> high = max_code<O, W, S, C>();
  const bool below = wide < low;
  const bool above = wide > high;
  if (O == SAT_ZERO) {
    if (below || above) wide = 0;
  } else {
    if (below) wide = low;
    if (above) wide = high;
  }
  code_t code = wide;
  return code;
}

// x brought between two limits; minimum and maximum. All arguments of one type: fx::clip<fx_int<20> >(x, -5, 5).
template <typename T>
inline T clip(const T& x, const T& low, const T& high) {
  T result = x;
  if (x < low) result = low;
  if (x > high) result = high;
  return result;
}
template <typename T>
inline T maximum(const T& a, const T& b) {
  T result = a;
  if (a < b) result = b;
  return result;
}
template <typename T>
inline T minimum(const T& a, const T& b) {
  T result = a;
  if (b < a) result = b;
  return result;
}

}  // namespace fx

#endif
