// Integer, fixed-point and channel types under one set of names, for AMD Vitis HLS (ap_int, ap_fixed, hls::stream).
//
// A code is the integer that a fixed-point object stores. Arithmetic happens on codes, in integers whose widths are
// written out; fixed-point types stand at ports, in channels and in memories only.
#ifndef FX_TYPES_H
#define FX_TYPES_H

#include <ap_int.h>
#include <ap_fixed.h>
#include <hls_stream.h>

template <int W>
using fx_int = ap_int<W>;

template <int W>
using fx_uint = ap_uint<W>;

#ifdef FX_EVENTS
#include "fx_events.h"
template <typename T>
using fx_channel = fx_logged_channel<hls::stream<T>, T>;
#else
template <typename T>
using fx_channel = hls::stream<T>;
#endif

// The code of a fixed-point object, as wide and signed as the object is.
template <int W, int I, ap_q_mode Q, ap_o_mode O, int N>
inline ap_int<W> fx_code(const ap_fixed<W, I, Q, O, N>& x) {
  ap_int<W> code;
  code.range(W - 1, 0) = x.range(W - 1, 0);
  return code;
}

template <int W, int I, ap_q_mode Q, ap_o_mode O, int N>
inline ap_uint<W> fx_code(const ap_ufixed<W, I, Q, O, N>& x) {
  ap_uint<W> code;
  code.range(W - 1, 0) = x.range(W - 1, 0);
  return code;
}

// Store a code, which the object must hold: nothing is rounded and nothing saturates.
template <int W, int I, ap_q_mode Q, ap_o_mode O, int N, int V, bool T>
inline void fx_set(ap_fixed<W, I, Q, O, N>& y, const ap_int_base<V, T>& code) {
  const ap_int<W> bits = code;
  y.range(W - 1, 0) = bits.range(W - 1, 0);
}

template <int W, int I, ap_q_mode Q, ap_o_mode O, int N, int V, bool T>
inline void fx_set(ap_ufixed<W, I, Q, O, N>& y, const ap_int_base<V, T>& code) {
  const ap_uint<W> bits = code;
  y.range(W - 1, 0) = bits.range(W - 1, 0);
}

// Store a code that is a native integer.
template <int W, int I, ap_q_mode Q, ap_o_mode O, int N>
inline void fx_set(ap_fixed<W, I, Q, O, N>& y, long long code) {
  const ap_int<W> bits = code;
  y.range(W - 1, 0) = bits.range(W - 1, 0);
}

template <int W, int I, ap_q_mode Q, ap_o_mode O, int N>
inline void fx_set(ap_ufixed<W, I, Q, O, N>& y, long long code) {
  const ap_uint<W> bits = code;
  y.range(W - 1, 0) = bits.range(W - 1, 0);
}

// An integer whose low 64 bits are given apart: constants wider than native integers are.
template <int W, int V>
inline fx_int<W> fx_append(const fx_int<V>& high, unsigned long long low) {
  const fx_int<W> upper = high;
  const fx_int<W> lower = fx_uint<64>(low);
  return (upper << 64) | lower;
}

#endif
