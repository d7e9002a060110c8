#include "koine/base/error.h"

#include <atomic>
#include <cstdio>
#include <cstring>

#include "koine/base/joined.h"

namespace koine {

struct Error::Words {
  std::atomic<int> owners{1};
  const char* operation = "";
  std::string peer;
  std::string note;
  Duration elapsed{};
};

std::string_view to_string(Fault fault) {
  switch (fault) {
    case Fault::refused: return "refused";
    case Fault::reset: return "connection reset";
    case Fault::unreachable: return "unreachable";
    case Fault::timed_out: return "timed out";
    case Fault::cancelled: return "cancelled";
    case Fault::closed: return "closed";
    case Fault::ended: return "ended too early";
    case Fault::address_in_use: return "address in use";
    case Fault::address_unavailable: return "not an address of this machine";
    case Fault::not_found: return "not found";
    case Fault::denied: return "permission denied";
    case Fault::exhausted: return "out of resources";
    case Fault::over_limit: return "over the limit";
    case Fault::malformed: return "malformed";
    case Fault::unsupported: return "not supported";
    case Fault::would_block: return "would block";
    case Fault::system: return "failed";
  }
  return "failed";
}

Error::Error(Fault fault, const char* operation, std::string_view peer, int system)
    : system_(system), fault_(fault) {
  Words& mine = words();
  mine.operation = operation;
  mine.peer = peer;
}

Error::Error(const Error& other)
    : words_(other.words_), system_(other.system_), fault_(other.fault_) {
  if (words_ != nullptr) words_->owners.fetch_add(1, std::memory_order_relaxed);
}

Error& Error::operator=(Error other) noexcept {
  std::swap(words_, other.words_);
  system_ = other.system_;
  fault_ = other.fault_;
  return *this;
}

void Error::release() noexcept {
  if (words_->owners.fetch_sub(1, std::memory_order_acq_rel) == 1) delete words_;
}

/// The words, for writing: nobody else's are changed.
Error::Words& Error::words() {
  if (words_ == nullptr) {
    words_ = new Words;
  } else if (words_->owners.load(std::memory_order_acquire) != 1) {
    Words* mine = new Words;
    mine->operation = words_->operation;
    mine->peer = words_->peer;
    mine->note = words_->note;
    mine->elapsed = words_->elapsed;
    release();
    words_ = mine;
  }
  return *words_;
}

std::string_view Error::operation() const {
  return words_ == nullptr ? std::string_view() : words_->operation;
}
std::string_view Error::peer() const {
  return words_ == nullptr ? std::string_view() : words_->peer;
}
std::string_view Error::note() const {
  return words_ == nullptr ? std::string_view() : words_->note;
}
Duration Error::elapsed() const { return words_ == nullptr ? Duration() : words_->elapsed; }

Error Error::with_note(std::string_view note) && {
  words().note = note;
  return std::move(*this);
}

Error Error::with_elapsed(Duration elapsed) && {
  words().elapsed = elapsed;
  return std::move(*this);
}

Error Error::with_operation(const char* operation, std::string_view peer) && {
  Words& mine = words();
  if (*mine.operation == '\0') mine.operation = operation;
  if (mine.peer.empty()) mine.peer = peer;
  return std::move(*this);
}

namespace {

std::string in_words(Duration elapsed) {
  const double ns = static_cast<double>(elapsed.count());
  char text[32];
  if (ns < 1e3) {
    std::snprintf(text, sizeof(text), "%.0f ns", ns);
  } else if (ns < 1e6) {
    std::snprintf(text, sizeof(text), "%.1f us", ns / 1e3);
  } else if (ns < 1e9) {
    std::snprintf(text, sizeof(text), "%.1f ms", ns / 1e6);
  } else {
    std::snprintf(text, sizeof(text), "%.1f s", ns / 1e9);
  }
  return text;
}

}  // namespace

std::string to_string(const Error& error) {
  std::string line(error.operation());
  if (!error.peer().empty()) {
    if (!line.empty()) line += ' ';
    line += error.peer();
  }
  if (!line.empty()) line += ": ";
  line += to_string(error.fault());
  // The errno adds something only where our own vocabulary has no word for it.
  if (error.system() != 0 && error.fault() == Fault::system) {
    line += ": ";
    line += std::strerror(error.system());  // NOLINT(concurrency-mt-unsafe): glibc's is safe
  }
  if (!error.note().empty()) {
    line += ": ";
    line += error.note();
  }
  if (error.elapsed() != Duration()) line += joined({" (after ", in_words(error.elapsed()), ")"});
  return line;
}

}  // namespace koine
