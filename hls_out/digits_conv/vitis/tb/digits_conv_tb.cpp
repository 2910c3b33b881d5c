// digits_conv: testbench. Reads vectors, runs the design frame by frame, compares every code.
//
//   digits_conv_tb [FOLDER [WRITTEN [TRACED]]]
//
// FOLDER: the vectors; WRITTEN: a folder for what came out; TRACED: frames of which all values are written (-DFX_VALUES), default all.
//
// Exit code 0: no code differs. 1: some do; the first one of every output is printed. 2: the vectors cannot be read.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "digits_conv.h"
#include "probes.h"

#ifdef FX_COUNTERS
long long fx_counts[fx_counters_end + 1];
#endif
#ifdef FX_VALUES
static std::FILE* fx_values_file = nullptr;
void fx_value_seen(int value, long long code) {
  if (fx_values_file) std::fprintf(fx_values_file, "%d %lld\n", value, code);
}
static void fx_values_close() {
  if (fx_values_file) std::fclose(fx_values_file);
  fx_values_file = nullptr;
}
#endif

typedef std::vector<long long> fx_frames_t;

// All integers of a file: `size` of them a frame.
static bool fx_read_frames(const std::string& path, long size, fx_frames_t& codes, long& frames) {
  std::FILE* file = std::fopen(path.c_str(), "r");
  if (!file) {
    std::fprintf(stderr, "%s: cannot be read\n", path.c_str());
    return false;
  }
  long long code = 0;
  while (std::fscanf(file, "%lld", &code) == 1) codes.push_back(code);
  const bool whole = std::feof(file) != 0;
  std::fclose(file);
  const long count = static_cast<long>(codes.size());
  if (!whole || count == 0 || count % size != 0 || (frames >= 0 && count / size != frames)) {
    std::fprintf(stderr, "%s: must hold %ld frame(s) of %ld integers\n", path.c_str(), frames < 0 ? 1 : frames, size);
    return false;
  }
  frames = count / size;
  return true;
}

// Compare all frames of one output; say how many codes differ, and which one is the first.
static long fx_compare(const char* flavour, const char* output, const char* layer, long size, const fx_frames_t& expected,
                    const fx_frames_t& seen) {
  long wrong = 0;
  for (std::size_t place = 0; place < expected.size(); ++place) {
    if (expected[place] == seen[place]) continue;
    if (wrong == 0) {
      std::printf("%s: %s (%s): frame %ld, index %ld: %lld instead of %lld\n", flavour, output, layer,
                  static_cast<long>(place) / size, static_cast<long>(place) % size, seen[place], expected[place]);
    }
    ++wrong;
  }
  std::printf("%s: %s: %ld of %ld codes differ\n", flavour, output, wrong, static_cast<long>(expected.size()));
  return wrong;
}

static bool fx_write_frames(const std::string& path, long size, const fx_frames_t& codes) {
  std::FILE* file = std::fopen(path.c_str(), "w");
  if (!file) return false;
  for (std::size_t place = 0; place < codes.size(); ++place) {
    std::fprintf(file, "%lld%c", codes[place], (place + 1) % size ? ' ' : '\n');
  }
  return std::fclose(file) == 0;
}

#ifdef FX_COUNTERS
static void fx_write_counts(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "w");
  for (int counter = 0; file && counter < fx_counters_end; ++counter) {
    std::fprintf(file, "%lld\n", fx_counts[counter]);
    fx_counts[counter] = 0;
  }
  if (file) std::fclose(file);
}
#endif

int main(int argc, char* argv[]) {
  const std::string folder = argc > 1 ? argv[1] : ".";
  const std::string written = argc > 2 ? argv[2] : "";
#ifdef FX_VALUES
  const long traced = argc > 3 ? std::atol(argv[3]) : -1;
#endif
  long frames = -1;
  fx_frames_t in0_codes;
  if (!fx_read_frames(folder + "/in0.txt", 64, in0_codes, frames)) return 2;
  fx_frames_t out0_codes;
  if (!fx_read_frames(folder + "/out0.txt", 10, out0_codes, frames)) return 2;
  long wrong = 0;

  // The design.
  {
    fx_frames_t out0_seen;
#ifdef FX_VALUES
    if (!written.empty()) fx_values_file = std::fopen((written + "/design_values.txt").c_str(), "w");
#endif
#ifdef FX_EVENTS
    if (!written.empty()) fx_events().file = std::fopen((written + "/events.txt").c_str(), "w");
#endif
    fx_channel<t00_beat> in0("in0");
    fx_channel<t05_beat> out0("out0");
    for (long frame = 0; frame < frames; ++frame) {
#ifdef FX_VALUES
      if (frame == traced) fx_values_close();
#endif
#ifdef FX_EVENTS
      if (frame < 2) fx_events_frame(frame);
      if (frame == 2) fx_events_close();
#endif
      FX_PROCESS(feed_in0);
      for (long n = 0; n < 1; ++n) {
        for (long p = 0; p < 64; ++p) {
          for (long beat = 0; beat < 1; ++beat) {
            t00_beat token;
            for (long lane = 0; lane < 1; ++lane) {
              const long place = (n * 1 + beat * 1 + lane) * 64 + p;
              fx_set(token.lane[lane], in0_codes[frame * 64 + place]);
            }
            in0.write(token);
          }
        }
      }
      digits_conv(in0, out0);
      FX_PROCESS(drain_out0);
      out0_seen.resize((frame + 1) * 10);
      for (long n = 0; n < 1; ++n) {
        for (long p = 0; p < 1; ++p) {
          for (long beat = 0; beat < 1; ++beat) {
            const t05_beat token = out0.read();
            for (long lane = 0; lane < 10; ++lane) {
              const long place = (n * 10 + beat * 10 + lane) * 1 + p;
              out0_seen[frame * 10 + place] = fx_code(token.lane[lane]).to_int64();
            }
          }
        }
      }
    }
#ifdef FX_EVENTS
    fx_events_close();
#endif
    if (!in0.empty()) {
      std::printf("design: in0: a token is left over\n");
      ++wrong;
    }
    if (!out0.empty()) {
      std::printf("design: out0: a token is left over\n");
      ++wrong;
    }
    wrong += fx_compare("design", "out0", "l04_linear", 10, out0_codes, out0_seen);
    if (!written.empty() && !fx_write_frames(written + "/design_out0.txt", 10, out0_seen)) ++wrong;
#ifdef FX_VALUES
    fx_values_close();
#endif
#ifdef FX_COUNTERS
    fx_write_counts((written.empty() ? folder : written) + "/design_counts.txt");
#endif
  }

  // The plain function on native integers.
  {
    fx_frames_t out0_seen;
#ifdef FX_VALUES
    if (!written.empty()) fx_values_file = std::fopen((written + "/raw_values.txt").c_str(), "w");
#endif
    for (long frame = 0; frame < frames; ++frame) {
#ifdef FX_VALUES
      if (frame == traced) fx_values_close();
#endif
      static signed char in0[64];
      for (long place = 0; place < 64; ++place) {
        in0[place] = in0_codes[frame * 64 + place];
      }
      static signed char out0[10];
      digits_conv_raw(in0, out0);
      out0_seen.insert(out0_seen.end(), out0, out0 + 10);
    }
    wrong += fx_compare("raw", "out0", "l04_linear", 10, out0_codes, out0_seen);
    if (!written.empty() && !fx_write_frames(written + "/raw_out0.txt", 10, out0_seen)) ++wrong;
#ifdef FX_VALUES
    fx_values_close();
#endif
#ifdef FX_COUNTERS
    fx_write_counts((written.empty() ? folder : written) + "/raw_counts.txt");
#endif
  }

  std::printf("%s: %ld frame(s), %ld difference(s)\n", wrong ? "FAIL" : "PASS", frames, wrong);
  return wrong ? 1 : 0;
}
