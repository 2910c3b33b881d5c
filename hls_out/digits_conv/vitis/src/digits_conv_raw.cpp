// digits_conv_raw: the design on native integers, for programs in C++ and for tools that know no fixed-point types.
#include "digits_conv.h"

#include "l00_linear.h"
#include "l01_pool.h"
#include "l02_linear.h"
#include "l03_movement.h"
#include "l04_linear.h"

void digits_conv_raw(const signed char in0[64], signed char out0[10]) {
  t00_t t00[64];
  read_in0: for (int place = 0; place < 64; ++place) {
    fx_set(t00[place], static_cast<long long>(in0[place]));
  }
  t01_t t01[512];
  l00_linear_array(t00, t01);
  t02_t t02[128];
  l01_pool_array(t01, t02);
  t03_t t03[64];
  l02_linear_array(t02, t03);
  t04_t t04[64];
  l03_movement_array(t03, t04);
  t05_t t05[10];
  l04_linear_array(t04, t05);
  write_out0: for (int place = 0; place < 10; ++place) {
    out0[place] = static_cast<signed char>(fx_code(t05[place]).to_int64());
  }
}
