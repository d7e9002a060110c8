// Trace Event Format: "X" is a slice, "M" names a process or thread, "s" and "f" are the ends of an
// arrow. Times are microseconds; three digits behind the point are nanoseconds.
#include <cinttypes>
#include <cstdio>

#include "koine/journey/export.h"
#include "koine/journey/hops.h"
#include "koine/journey/json.h"
#include "koine/journey/spans.h"

namespace koine::journey {
namespace {

std::string micros(std::int64_t ns) {
  char text[40];
  const std::uint64_t size =
      ns < 0 ? 0 - static_cast<std::uint64_t>(ns) : static_cast<std::uint64_t>(ns);
  std::snprintf(text, sizeof(text), "%s%" PRIu64 ".%03" PRIu64, ns < 0 ? "-" : "", size / 1000,
                size % 1000);
  return text;
}

int process_of(Where where) { return static_cast<int>(where) + 1; }

/// Rows of a process: the program's own time, and the system's.
int thread_of(Step step) { return step == Step::program ? 1 : 2; }

class Writer {
 public:
  std::string write(std::span<const Journey> journeys) {
    name(Where::client, "client");
    name(Where::network, "network");
    name(Where::server, "server");
    for (const Journey& journey : journeys) {
      const Spans spans = spans_of(journey);
      if (spans.spans.empty()) continue;
      if (!origin_known_) {
        // Small numbers survive a reader that keeps them as floating point.
        origin_ns_ = spans.spans.front().begin_ns;
        origin_known_ = true;
      }
      write(journey, spans);
    }
    return JsonList('{')
               .member("displayTimeUnit", json_text("ns"))
               .member("traceEvents", events_.done())
               .done() +
           "\n";
  }

 private:
  JsonList event(const char* phase, Where where, int thread) {
    JsonList event('{');
    event.member("ph", json_text(phase)).member("pid", process_of(where)).member("tid", thread);
    return event;
  }

  void name(Where where, const char* text) {
    const auto named = [&](const char* what, int thread, const char* as) {
      events_.item(event("M", where, thread)
                       .member("name", json_text(what))
                       .member("args", JsonList('{').member("name", json_text(as)).done())
                       .done());
    };
    named("process_name", 0, text);
    named("thread_name", 1, where == Where::network ? "wire" : "program");
    named("thread_name", 2, where == Where::network ? "wire" : "system");
  }

  void write(const Journey& journey, const Spans& spans) {
    events_.item(
        event("X", Where::client, 1)
            .member("name", json_text("message " + std::to_string(journey.id)))
            .member("cat", json_text("journey"))
            .member("ts", at(spans.spans.front().begin_ns))
            .member("dur", micros(spans.total_ns))
            .member("args", JsonList('{')
                                .member("verdict", json_text(journey.verdict))
                                .member("offset", json_text(to_string(journey.offset.method)))
                                .member("theta_ns", journey.offset.theta_ns)
                                .member("half_ns", journey.offset.half_ns)
                                .done())
            .done());
    const Span* before = nullptr;
    for (const Span& span : spans.spans) {
      slice(span);
      for (const Hop& hop : hops_of(journey, span.first)) slice(journey, span.first, hop);
      if (before != nullptr && where(before->last) != where(span.first)) arrow(*before, span);
      before = &span;
    }
  }

  void slice(const Span& span) {
    std::string text = std::string(number_of(span.first)) + " " + name_of(span.first);
    if (span.first != span.last)
      text = std::string(number_of(span.first)) + ".." + number_of(span.last);
    events_.item(event("X", where(span.first), thread_of(span.first))
                     .member("name", json_text(text))
                     .member("cat", json_text("step"))
                     .member("ts", at(span.begin_ns))
                     .member("dur", micros(span.ns()))
                     .member("args", JsonList('{')
                                         .member("quality", json_text(to_string(span.quality)))
                                         .member("half_ns", span.half_ns)
                                         .done())
                     .done());
  }

  /// Within the step that it is a piece of, or an instant.
  void slice(const Journey& journey, Step step, const Hop& hop) {
    const std::int64_t shift = step < Step::copy_back ? 0 : journey.offset.theta_ns;
    const bool is_lost = hop.what == Hop::What::lost;
    JsonList event_of_hop = event(is_lost ? "i" : "X", where(step), thread_of(step));
    event_of_hop.member("name", json_text(label_of(hop)))
        .member("cat", json_text("hop"))
        .member("ts", at(subtract(hop.in_ns, shift)));
    if (is_lost) {
      event_of_hop.member("s", json_text("t"));
    } else {
      event_of_hop.member("dur", micros(hop.ns()));
    }
    events_.item(event_of_hop.done());
  }

  void arrow(const Span& from, const Span& to) {
    ++arrows_;
    const auto end = [&](const char* phase, const Span& span, std::int64_t ns) {
      JsonList event_end = event(phase, where(span.first), thread_of(span.first));
      event_end.member("name", json_text("message"))
          .member("cat", json_text("journey"))
          .member("id", arrows_)
          .member("ts", at(ns));
      if (phase[0] == 'f') event_end.member("bp", json_text("e"));
      events_.item(event_end.done());
    };
    end("s", from, from.begin_ns);
    end("f", to, to.begin_ns);
  }

  std::string at(std::int64_t ns) const { return micros(subtract(ns, origin_ns_)); }

  JsonList events_{'['};
  std::int64_t origin_ns_ = 0;
  bool origin_known_ = false;
  std::int64_t arrows_ = 0;
};

}  // namespace

std::string perfetto_json(std::span<const Journey> journeys) { return Writer().write(journeys); }

}  // namespace koine::journey
