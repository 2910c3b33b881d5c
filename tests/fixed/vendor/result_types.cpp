// The result types of the vendors' operators, for tests/fixed/test_vendor_types.py.
//
// cases.inc (generated) holds lines CASE(W, I, S, W2, I2, S2).  For each one, a line with width, integer bits and sign of
// a+b, a-b, a*b and -a (ac_fixed) or a+b, a-b and a*b (ap_fixed).

#include <cstdio>
#include <type_traits>

#if defined(VENDOR_AC)
#include <ac_fixed.h>

template <typename T>
void print() { printf("%d %d %d ", T::width, T::i_width, (int)T::sign); }

template <int W, int I, bool S, int W2, int I2, bool S2>
void one_case() {
  typedef ac_fixed<W, I, S> a_t;
  typedef ac_fixed<W2, I2, S2> b_t;
  a_t a;
  b_t b;
  // What the operators return is what rt_T promises.
  static_assert(std::is_same<decltype(a + b), typename a_t::template rt_T<b_t>::plus>::value, "+");
  static_assert(std::is_same<decltype(a - b), typename a_t::template rt_T<b_t>::minus>::value, "-");
  static_assert(std::is_same<decltype(a * b), typename a_t::template rt_T<b_t>::mult>::value, "*");
  static_assert(std::is_same<decltype(-a), typename a_t::rt_unary::neg>::value, "negation");
  static_assert(std::is_same<decltype(a << 1), a_t>::value, "<< keeps the type");
  static_assert(std::is_same<decltype(a >> 1), a_t>::value, ">> keeps the type");
  print<typename a_t::template rt_T<b_t>::plus>();
  print<typename a_t::template rt_T<b_t>::minus>();
  print<typename a_t::template rt_T<b_t>::mult>();
  print<typename a_t::rt_unary::neg>();
  puts("");
}
#else
#include <ap_fixed.h>

template <int W, int I, bool S, int W2, int I2, bool S2>
void one_case() {
  typedef typename ap_fixed_base<W, I, S>::template RType<W2, I2, S2> types;
  printf("%d %d %d ", types::plus_w, types::plus_i, types::plus_s);
  printf("%d %d %d ", types::minus_w, types::minus_i, types::minus_s);
  printf("%d %d %d\n", types::mult_w, types::mult_i, types::mult_s);
}
#endif

int main() {
#define CASE(W, I, S, W2, I2, S2) one_case<W, I, S, W2, I2, S2>();
#include "cases.inc"
  return 0;
}
