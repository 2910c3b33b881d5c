// Results of ac_fixed's operators, for tests/fixed/test_vendor_types.py.
//
// cases.inc (generated) holds lines CASE(W, I, S, W2, I2, S2, N).  For all codes of a and, within, all codes of b, a line
// with the codes of a+b, a-b, a*b, -a in their own types, and of a * 2^N in ac_fixed<W,I+N,S>.  The shift is done on
// an operand that is wide enough to lose nothing.

#include <ac_fixed.h>
#include <cstdio>

template <int W, int I, bool S>
int code(const ac_fixed<W, I, S> &x) { return ac_int<W, S>(x.template slc<W>(0)).to_int(); }

template <int W, int I, bool S, int W2, int I2, bool S2, int N>
void one_case() {
  enum { BITS = N < 0 ? -N : N };
  for (int i = 0; i < 1 << W; i++)
    for (int j = 0; j < 1 << W2; j++) {
      ac_fixed<W, I, S> a;
      ac_fixed<W2, I2, S2> b;
      a.set_slc(0, ac_int<W, false>(i));
      b.set_slc(0, ac_int<W2, false>(j));
      ac_fixed<W + BITS, I + (N > 0 ? N : 0), S> wide = a;
      ac_fixed<W, I + N, S> shifted = wide << N;
      printf("%d %d %d %d %d %d %d\n", code(a), code(b), code(a + b), code(a - b), code(a * b), code(-a), code(shifted));
    }
}

int main() {
#define CASE(W, I, S, W2, I2, S2, N) one_case<W, I, S, W2, I2, S2, N>();
#include "cases.inc"
  return 0;
}
