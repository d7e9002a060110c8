#include <algorithm>

#include "koine/journey/hops.h"
#include "koine/journey/ink.h"
#include "koine/journey/picture.h"
#include "koine/journey/spans.h"
#include "koine/journey/text.h"

namespace koine::journey {
namespace {

constexpr std::size_t label_columns = 29;
constexpr std::size_t time_columns = 15;

std::string padded(std::string text, std::size_t columns) {
  if (text.size() < columns) text.append(columns - text.size(), ' ');
  return text;
}

std::string right(const std::string& text, std::size_t columns) {
  return text.size() >= columns ? text : std::string(columns - text.size(), ' ') + text;
}

std::string times(std::uint32_t count) {
  return count == 2 ? "twice" : std::to_string(count) + " times";
}

/// Of a journey that has one way only, half.
int places_of(const Journey& journey) {
  const auto goes = [](const Leg& leg) { return leg.write_in || leg.rx || leg.recv_out; };
  return goes(journey.request) && goes(journey.reply) ? 14 : 7;
}

class Waterfall {
 public:
  Waterfall(const Journey& journey, PictureOptions options)
      : journey_(journey),
        spans_(spans_of(journey)),
        columns_(std::max<std::size_t>(options.columns, 60)),
        bar_(columns_ - label_columns - time_columns - 3),
        ink_(options.colours) {}

  std::string draw() {
    begin();
    int at = -1;
    for (const Span& span : spans_.spans) {
      if (merges_network() && span.is(Step::network_back)) continue;  // told with the way there
      const int host =
          where(span.first) == Where::network ? at : static_cast<int>(where(span.first));
      if (host != at) {
        at = host;
        out_ += host == static_cast<int>(Where::server) ? "  server\n" : "  client\n";
      }
      if (merges_network() && span.is(Step::network_there)) {
        network();
      } else {
        line(span);
      }
    }
    end();
    return out_;
  }

 private:
  void begin() {
    out_ +=
        ink_.bold("message " + std::to_string(journey_.id)) + "   " + short_time(spans_.total_ns);
    if (journey_.request.sendings > 1) out_ += "   sent " + times(journey_.request.sendings);
    if (journey_.reply.sendings > 1) out_ += "   answered " + times(journey_.reply.sendings);
    out_ += "\n";
    if (journey_.verdict.empty()) return;
    out_ += ink_.bold("verdict:") + " " + wrapped(journey_.verdict, columns_, 9) + "\n";
  }

  /// True if nobody knows how the time in the network is shared between there and back.
  bool merges_network() const {
    const Span* there = spans_.find(Step::network_there);
    const Span* back = spans_.find(Step::network_back);
    if (there == nullptr || back == nullptr) return false;
    const std::int64_t shorter = std::min(there->ns(), back->ns());
    return journey_.offset.half_ns > shorter / 4;
  }

  void network() {
    const Span& there = *spans_.find(Step::network_there);
    const Span& back = *spans_.find(Step::network_back);
    std::string bar(bar_, ' ');
    mark(bar, there, '/');
    mark(bar, back, '/');
    row(" 3+3'  network, there + back", in_us(there.ns() + back.ns()), bar, there);
    note("exact together; each way is known only to +-" + short_time(journey_.offset.half_ns));
  }

  void line(const Span& span) {
    std::string number = std::string(" ") + number_of(span.first);
    std::string name = name_of(span.first);
    if (span.first != span.last) {
      number += std::string("..") + number_of(span.last);
      name = where(span.first) == where(span.last) && where(span.first) != Where::network
                 ? "the system's part"
                 : "all between";
      if (span.covers(Step::program)) name = "the other end";
      if (span.first == Step::idle_there && span.last == Step::network_back)
        name = "other end, network back";
      if (span.first == Step::network_there && span.last == Step::network_back)
        name = "network + other end";
    }
    std::string time = in_us(span.ns());
    if (span.quality == Quality::at_most) time = "<= " + time;
    if (span.quality == Quality::at_least) time = ">= " + time;
    if (span.quality == Quality::missing) time = "~ " + time;
    std::string bar(bar_, ' ');
    mark(bar, span, '#');
    row(padded(number, 7) + name, time, bar, span);
    if (span.first == span.last) hops(span);
    const Leg& leg = span.last < Step::copy_back ? journey_.request : journey_.reply;
    if ((span.is(Step::wake_there) || span.is(Step::wake_back)) && leg.cpu_wait_ns &&
        *leg.cpu_wait_ns > 0) {
      // What the thread waited since it last ran, which may have begun before this step.
      const bool is_all = *leg.cpu_wait_ns >= span.ns();
      note(is_all ? "of it, waited for a CPU: up to all of it"
                  : "of it, waited for a CPU: " + short_time(*leg.cpu_wait_ns));
    }
    if (span.half_ns != 0) note("+-" + short_time(span.half_ns) + ": two clocks");
  }

  /// What a step was made of, where the world says so; that which took no time is left out.
  void hops(const Span& step) {
    for (const Hop& hop : hops_of(journey_, step.first)) {
      if (hop.what == Hop::What::lost) {
        note(words_of(hop));
        continue;
      }
      if (hop.ns() == 0) continue;
      const std::int64_t shift = step.first < Step::copy_back ? 0 : journey_.offset.theta_ns;
      Span part = step;
      part.begin_ns = subtract(hop.in_ns, shift);
      part.end_ns = subtract(hop.out_ns, shift);
      std::string bar(bar_, ' ');
      mark(bar, part, '-');
      row(std::string(9, ' ') + label_of(hop), in_us(part.ns()), bar, part);
    }
  }

  void row(const std::string& label, const std::string& time, const std::string& bar,
           const Span& span) {
    const std::size_t before = std::max(label.size(), label_columns);
    const std::size_t time_room =
        label_columns + time_columns - std::min(before, label_columns + 14);
    std::string shown = padded(label, label_columns) + right(" " + time, time_room);
    // Long times push the bar aside rather than lose digits; the bar gives way.
    const std::size_t room = columns_ - std::min(columns_, shown.size() + 3);
    const bool is_long = spans_.total_ns != 0 && span.ns() > spans_.total_ns / 3;
    const std::string drawn = bar.substr(0, room);
    out_ += (is_long ? ink_.bold(shown) : shown) + " " + ink_.dim("|") +
            (is_long ? ink_.yellow(drawn) : ink_.cyan(drawn)) + ink_.dim("|") + "\n";
  }

  /// Where the span lies in the whole; anything that took time has at least one mark.
  void mark(std::string& bar, const Span& span, char with) const {
    if (span.ns() <= 0 || spans_.total_ns <= 0) return;
    const auto place = [&](std::int64_t ns) {
      const auto share = static_cast<double>(subtract(ns, spans_.spans.front().begin_ns)) /
                         static_cast<double>(spans_.total_ns);
      return static_cast<std::size_t>(std::clamp(share, 0.0, 1.0) *
                                      static_cast<double>(bar.size()));
    };
    const std::size_t from = std::min(place(span.begin_ns), bar.size() - 1);
    const std::size_t to = std::clamp(place(span.end_ns), from + 1, bar.size());
    for (std::size_t i = from; i < to; ++i) bar[i] = with;
  }

  void note(const std::string& text) {
    out_ += std::string(6, ' ') + ink_.dim(wrapped(text, columns_, 6)) + "\n";
  }

  void end() {
    const Leg& request = journey_.request;
    if (!request.rx && !request.recv_out && request.ack && !request.snd.empty()) {
      const std::int64_t confirmed = subtract(request.ack.ns, request.snd.back().ns);
      note("TCP there confirmed it after " + short_time(confirmed) +
           ": the network took at most that, there and back");
      if (journey_.reply.rx && journey_.reply.rx.ns > request.ack.ns)
        note("from then to its answer's arrival: " +
             short_time(subtract(journey_.reply.rx.ns, request.ack.ns)) +
             ", the least that the program there took, about");
    }
    if (request.tcp.retransmits > 0 && request.bytes > request.tcp.mss && request.tcp.mss != 0)
      note("TCP sent " + std::to_string(request.tcp.retransmits) +
           " segments again meanwhile; only a message's last is stamped");
    std::string known =
        std::to_string(stamps_of(journey_)) + " of " + std::to_string(places_of(journey_)) +
        " stamps: " +
        (request.hops.empty() ? to_string(level_of(journey_)) : "a simulated world's own record");
    if (journey_.offset.method == Offset::Method::same_clock) known += "; both ends read one clock";
    if (journey_.offset.method == Offset::Method::bounds)
      known += "; the server's clock is ahead by " + short_time(journey_.offset.theta_ns) + " +-" +
               short_time(journey_.offset.half_ns);
    note(known);
  }

  const Journey& journey_;
  Spans spans_;
  std::size_t columns_;
  std::size_t bar_;
  Ink ink_;
  std::string out_;
};

}  // namespace

std::string waterfall(const Journey& journey, PictureOptions options) {
  return Waterfall(journey, options).draw();
}

}  // namespace koine::journey
