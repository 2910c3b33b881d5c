// Casts between fixed-point types, done by the vendor's own header, for tests/fixed/test_vendor_types.py.
//
// cases.inc (generated) holds lines CASE(W, S, W2, S2, D): from a type of W2 bits with D fraction bits to one of W bits
// without any.  Only the distance of the binary points matters, so D is the number of dropped bits (negative: added).
// For each case, stdin holds a count and that many source codes; stdout gets, for every rounding mode and within it
// for every overflow mode, in the order of fxnorm.fixed.format, that many destination codes.  All are int64.

#include <cstdint>
#include <cstdio>
#include <vector>

#if defined(VENDOR_AC)
#include <ac_fixed.h>
#define MODE(name) AC_##name
typedef ac_q_mode q_mode;
typedef ac_o_mode o_mode;

template <int W, int I, bool S, q_mode Q = AC_TRN, o_mode O = AC_WRAP>
using fixed = ac_fixed<W, I, S, Q, O>;

template <int W, int I, bool S>
void set_code(fixed<W, I, S> &x, int64_t code) { x.set_slc(0, ac_int<W, false>(code)); }

template <int W, int I, bool S, q_mode Q, o_mode O>
int64_t get_code(const fixed<W, I, S, Q, O> &x) { return ac_int<W, S>(x.template slc<W>(0)).to_int64(); }
#else
#include <ap_fixed.h>
#define MODE(name) AP_##name
typedef ap_q_mode q_mode;
typedef ap_o_mode o_mode;

template <int W, int I, bool S, q_mode Q = AP_TRN, o_mode O = AP_WRAP>
using fixed = ap_fixed_base<W, I, S, Q, O, 0>;

template <int W, int I, bool S>
void set_code(fixed<W, I, S> &x, int64_t code) { x.V = ap_int_base<W, S>(code).V; }

template <int W, int I, bool S, q_mode Q, o_mode O>
int64_t get_code(const fixed<W, I, S, Q, O> &x) {
  ap_int_base<W, S> bits;
  bits.V = x.V;
  return bits.to_int64();
}
#endif

template <int W, bool S, int W2, bool S2, int D, q_mode Q, o_mode O>
void cast(const std::vector<int64_t> &codes) {
  std::vector<int64_t> results;
  for (int64_t code : codes) {
    fixed<W2, W2 - D, S2> from;
    set_code<W2, W2 - D, S2>(from, code);
    fixed<W, W, S, Q, O> to = from;
    results.push_back(get_code<W, W, S, Q, O>(to));
  }
  fwrite(results.data(), sizeof(int64_t), results.size(), stdout);
}

template <int W, bool S, int W2, bool S2, int D, q_mode Q>
void with_rounding(const std::vector<int64_t> &codes) {
  cast<W, S, W2, S2, D, Q, MODE(WRAP)>(codes);
  cast<W, S, W2, S2, D, Q, MODE(SAT)>(codes);
  cast<W, S, W2, S2, D, Q, MODE(SAT_ZERO)>(codes);
  cast<W, S, W2, S2, D, Q, MODE(SAT_SYM)>(codes);
}

template <int W, bool S, int W2, bool S2, int D>
void one_case() {
  int64_t count = 0;
  if (fread(&count, sizeof count, 1, stdin) != 1) return;
  std::vector<int64_t> codes(count);
  if (fread(codes.data(), sizeof(int64_t), count, stdin) != (size_t)count) return;
  with_rounding<W, S, W2, S2, D, MODE(TRN)>(codes);
  with_rounding<W, S, W2, S2, D, MODE(TRN_ZERO)>(codes);
  with_rounding<W, S, W2, S2, D, MODE(RND)>(codes);
  with_rounding<W, S, W2, S2, D, MODE(RND_ZERO)>(codes);
  with_rounding<W, S, W2, S2, D, MODE(RND_INF)>(codes);
  with_rounding<W, S, W2, S2, D, MODE(RND_MIN_INF)>(codes);
  with_rounding<W, S, W2, S2, D, MODE(RND_CONV)>(codes);
#if defined(VENDOR_AC)
  with_rounding<W, S, W2, S2, D, AC_RND_CONV_ODD>(codes);
#endif
}

int main() {
#define CASE(W, S, W2, S2, D) one_case<W, S, W2, S2, D>();
#include "cases.inc"
  return 0;
}
