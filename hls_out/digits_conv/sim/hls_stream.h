// A channel for builds without AMD's tools: what the emitted code needs of hls::stream, for plain C++ on a computer.
//
// Vitis brings its own hls_stream.h; this file stands in sim/ and is never synthesized. Reading an empty stream ends the
// program: hardware would wait for ever.
#ifndef FX_SIM_HLS_STREAM_H
#define FX_SIM_HLS_STREAM_H

#include <cstdio>
#include <cstdlib>
#include <deque>
#include <string>

namespace hls {

template <typename T>
class stream {
 public:
  stream() : name_("a stream") {}
  explicit stream(const char* name) : name_(name) {}

  void write(const T& value) { values_.push_back(value); }

  T read() {
    if (values_.empty()) {
      std::fprintf(stderr, "%s: read while it is empty\n", name_.c_str());
      std::abort();
    }
    const T value = values_.front();
    values_.pop_front();
    return value;
  }

  void read(T& value) { value = read(); }
  bool empty() const { return values_.empty(); }
  std::size_t size() const { return values_.size(); }

 private:
  stream(const stream&) = delete;
  stream& operator=(const stream&) = delete;

  std::string name_;
  std::deque<T> values_;
};

}  // namespace hls

#endif
