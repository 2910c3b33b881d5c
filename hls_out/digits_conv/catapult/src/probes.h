// digits_conv: what a testbench can watch. Without FX_COUNTERS, FX_VALUES and FX_EVENTS nothing of it is compiled.
#ifndef PROBES_H
#define PROBES_H

#ifdef FX_COUNTERS
enum fx_counter {
  l00_linear_overflow,
  l01_pool_overflow,
  l02_linear_overflow,
  l04_linear_overflow,
  fx_counters_end
};
extern long long fx_counts[fx_counters_end + 1];
#define FX_COUNT(counter, lost) (fx_counts[counter] += (lost))
#else
#define FX_COUNT(counter, lost)
#endif

#ifdef FX_VALUES
enum fx_value {
  fx_t00,
  fx_t01,
  fx_t02,
  fx_t03,
  fx_t04,
  fx_t05,
  fx_values_end
};
void fx_value_seen(int value, long long code);
#define FX_TRACE(value, x) fx_value_seen(fx_##value, fx_code(x).to_int64())
#define FX_TRACE_ALL(value, x, size) \
  for (int fx_place = 0; fx_place < (size); ++fx_place) FX_TRACE(value, (x)[fx_place])
#else
#define FX_TRACE(value, x)
#define FX_TRACE_ALL(value, x, size)
#endif

#ifdef FX_EVENTS
#define FX_PROCESS(name) (fx_events().process = #name)
#define FX_NAMED(name) (#name)
#else
#define FX_PROCESS(name)
#define FX_NAMED(name)
#endif

#endif
