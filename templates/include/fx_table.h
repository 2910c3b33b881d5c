// Functions of one code as tables of integers: the DirectTable of fxnorm/fixed/functions.py and the SegmentTable of
// fxnorm/fixed/segments.py.
#ifndef FX_TABLE_H
#define FX_TABLE_H

#include "fx_words.h"

namespace fx {

// Place of a code in tables of one entry a code, in ascending order of the codes.
template <int W, bool S>
inline int table_index(const typename code_of<W, S>::type& code) {
  fx_uint<W> index = code;
  if (S) index[W - 1] = !index[W - 1];
  return index.to_int();
}

// The entry of a code of a format of W bits, signed or not.
//   fx_int<8> y = fx::direct_table<8, true, fx_int<8> >(x, l04_entries);
template <int W, bool S, typename Y, typename C, int N>
inline Y direct_table(const typename code_of<W, S>::type& code, const C (&entries)[N]) {
#pragma HLS INLINE
  static_assert(N == 1 << W, "a direct table has one entry a code");
  const Y result = static_cast<long long>(entries[table_index<W, S>(code)]);
  return result;
}

// Whether an entry overflowed when it was made: one bit an entry, eight a byte, the first one in the top bit.
//   FX_COUNT(layer, (fx::table_overflowed<8, true>(x, l04_overflow)));
template <int W, bool S, int N>
inline bool table_overflowed(const typename code_of<W, S>::type& code, const unsigned char (&bits)[N]) {
  static_assert(8 * N >= 1 << W, "one bit an entry");
  const int index = table_index<W, S>(code);
  return ((bits[index / 8] >> (7 - index % 8)) & 1) != 0;
}

// The widths of a SegmentTable, by their names.
//   typedef fx::segment_widths<12, 20, 24> l04_widths;
template <int POSITION, int MULTIPLICAND, int ACCUMULATOR>
struct segment_widths {
  static const int position_bits = POSITION;
  static const int multiplicand_bits = MULTIPLICAND;
  static const int accumulator_bits = ACCUMULATOR;
};

// The polynomial of a code, in 2^-guard_bits of an output step; rounding by guard_bits, the clamp to [low, high] and the overflow
// mode follow, as in any other stage. The tables are the fields of the SegmentTable, then one a coefficient, constant term first.
//   fx_int<25> acc = fx::segment_accumulate<l04_widths, 17>(x, start, origin, mirrored, octave, block, shift, segment, c0, c1);
template <typename WIDTHS, int W, typename A, typename B, typename C, typename D, typename E, typename F, typename G,
          int PIECES, int BLOCKS, typename... TABLES>
inline fx_int<WIDTHS::accumulator_bits + 1> segment_accumulate(const fx_int<W>& code, const A (&piece_start)[PIECES],
                                                               const B (&piece_origin)[PIECES],
                                                               const C (&piece_mirrored)[PIECES],
                                                               const D (&piece_octave)[PIECES],
                                                               const E (&piece_block)[PIECES],
                                                               const F (&block_shift)[BLOCKS],
                                                               const G (&block_segment)[BLOCKS],
                                                               const TABLES&... coefficients) {
#pragma HLS INLINE
  // The last piece that starts at or below the code; the first one has no code below it.
  int piece = 0;
#pragma hls_unroll yes
fx_piece:
  for (int i = 1; i < PIECES; ++i) {
#pragma HLS UNROLL
    const fx_int<W> start = static_cast<long long>(piece_start[i]);
    if (code >= start) piece = i;
  }
  const fx_int<W> origin = static_cast<long long>(piece_origin[piece]);
  fx_int<W + 1> away = code - origin;
  if (piece_mirrored[piece] != 0) away = origin - code;
  fx_uint<W + 1> distance = away;
  int block = piece_block[piece];
  if (piece_octave[piece] != 0) {
    const int length = bit_length<W + 1>(distance);
    block += length;
    const fx_uint<width_of(W)> top = length > 0 ? length - 1 : 0;
    if (length > 0) distance[top] = 0;
  }
  const int shift = block_shift[block];
  const fx_uint<width_of(W)> places = shift;
  const fx_uint<W + 1> number = distance >> places;
  const int segment = static_cast<int>(block_segment[block]) + number.to_int();
  // The low `shift` bits of the distance, as a fraction of position_bits bits.
  const int top_bits = greater(W, WIDTHS::position_bits);
  const fx_uint<width_of(top_bits)> up = top_bits - shift;
  fx_uint<top_bits + 1> aligned = distance;
  aligned = aligned << up;
  const fx_uint<top_bits> inside = aligned;
  const fx_uint<greater(WIDTHS::position_bits, 1)> u = inside >> (top_bits - greater(WIDTHS::position_bits, 1));
  return horner<WIDTHS>(segment, u, coefficients...);
}

}  // namespace fx

#endif
