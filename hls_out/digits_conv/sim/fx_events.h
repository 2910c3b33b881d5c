// Channels that write down what passes them: which process reads or writes which channel, and in which order.
//
// For plain C++ on a computer, compiled with -DFX_EVENTS only; this file stands in sim/ and is never synthesized. A log holds
// one line a run of equal events, "process r channel count" or "process w channel count", and a line "frame N" before each frame.
#ifndef FX_EVENTS_H
#define FX_EVENTS_H

#include <cstdio>
#include <cstdlib>

struct fx_event_log {
  std::FILE* file;
  const char* process;
  const char* at;
  const char* channel;
  char kind;
  long count;
};

inline fx_event_log& fx_events() {
  static fx_event_log log = {nullptr, "", "", "", ' ', 0};
  return log;
}

// The run of equal events that is under way goes into the file.
inline void fx_events_flush() {
  fx_event_log& log = fx_events();
  if (log.file && log.count) std::fprintf(log.file, "%s %c %s %ld\n", log.at, log.kind, log.channel, log.count);
  log.count = 0;
}

// Names are literals: two are the same where they are at one place.
inline void fx_event(char kind, const char* channel) {
  fx_event_log& log = fx_events();
  if (!log.file) return;
  if (log.at != log.process || log.kind != kind || log.channel != channel) {
    fx_events_flush();
    log.at = log.process;
    log.kind = kind;
    log.channel = channel;
  }
  ++log.count;
}

inline void fx_events_frame(long frame) {
  fx_events_flush();
  if (fx_events().file) std::fprintf(fx_events().file, "frame %ld\n", frame);
}

inline void fx_events_close() {
  fx_events_flush();
  if (fx_events().file) std::fclose(fx_events().file);
  fx_events().file = nullptr;
}

template <typename Channel, typename T>
class fx_logged_channel {
 public:
  explicit fx_logged_channel(const char* name) : name_(name) {}

  void write(const T& value) {
    fx_event('w', name_);
    channel_.write(value);
  }

  T read() {
    fx_event('r', name_);
    if (channel_.empty()) {
      std::fprintf(stderr, "%s: %s reads it while it is empty\n", name_, fx_events().process);
      std::abort();
    }
    return channel_.read();
  }

  bool empty() { return channel_.empty(); }

 private:
  const char* name_;
  Channel channel_;
};

#endif
