// Integer, fixed-point and channel types under one set of names, for Siemens Catapult (ac_int, ac_fixed, ac_channel).
//
// A code is the integer that a fixed-point object stores. Arithmetic happens on codes, in integers whose widths are
// written out; fixed-point types stand at ports, in channels and in memories only.
#ifndef FX_TYPES_H
#define FX_TYPES_H

#include <ac_int.h>
#include <ac_fixed.h>
#include <ac_channel.h>

template <int W>
using fx_int = ac_int<W, true>;

template <int W>
using fx_uint = ac_int<W, false>;

#ifdef FX_EVENTS
#include "fx_events.h"
template <typename T>
using fx_channel = fx_logged_channel<ac_channel<T>, T>;
#else
template <typename T>
using fx_channel = ac_channel<T>;
#endif

// The code of a fixed-point object, as wide and signed as the object is.
template <int W, int I, bool S, ac_q_mode Q, ac_o_mode O>
inline ac_int<W, S> fx_code(const ac_fixed<W, I, S, Q, O>& x) {
  return x.template slc<W>(0);
}

// Store a code, which the object must hold: nothing is rounded and nothing saturates.
template <int W, int I, bool S, ac_q_mode Q, ac_o_mode O, int V, bool T>
inline void fx_set(ac_fixed<W, I, S, Q, O>& y, const ac_int<V, T>& code) {
  y.set_slc(0, ac_int<W, S>(code));
}

// Store a code that is a native integer.
template <int W, int I, bool S, ac_q_mode Q, ac_o_mode O>
inline void fx_set(ac_fixed<W, I, S, Q, O>& y, long long code) {
  y.set_slc(0, ac_int<W, S>(code));
}

// An integer whose low 64 bits are given apart: constants wider than native integers are.
template <int W, int V>
inline fx_int<W> fx_append(const fx_int<V>& high, unsigned long long low) {
  const fx_int<W> upper = high;
  const fx_int<W> lower = fx_uint<64>(low);
  return (upper << 64) | lower;
}

#endif
