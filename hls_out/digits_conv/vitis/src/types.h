// digits_conv: types of all values, and of the beats in which they travel.
#ifndef TYPES_H
#define TYPES_H

#include "fx_types.h"

typedef ap_fixed<8,5,AP_RND,AP_SAT> t00_t;  // q5.3, 1 x 1 x 8 x 8
typedef ap_fixed<8,5,AP_RND,AP_SAT> t01_t;  // q5.3, 1 x 8 x 8 x 8
typedef ap_fixed<8,5,AP_RND,AP_SAT> t02_t;  // q5.3, 1 x 8 x 4 x 4
typedef ap_fixed<8,5,AP_RND,AP_SAT> t03_t;  // q5.3, 1 x 16 x 2 x 2
typedef ap_fixed<8,5,AP_RND,AP_SAT> t04_t;  // q5.3, 1 x 64
typedef ap_fixed<8,5,AP_RND,AP_SAT> t05_t;  // q5.3, 1 x 10

struct t00_beat {
  t00_t lane[1];
};
struct t01_beat {
  t01_t lane[8];
};
struct t02_beat {
  t02_t lane[8];
};
struct t03_beat {
  t03_t lane[16];
};
struct t04_beat {
  t04_t lane[64];
};
struct t05_beat {
  t05_t lane[10];
};

#endif
