#include "koine/journey/hops.h"

#include <algorithm>

#include "koine/journey/text.h"

namespace koine::journey {
namespace {

std::string with_reason(std::string words, const Hop& hop) {
  return hop.why.empty() ? words : words + " (" + hop.why + ")";
}

std::string link_of(const Hop& hop) { return "the link " + hop.at + "-" + hop.towards; }

}  // namespace

std::vector<Hop> hops_of(const Journey& journey, Step step) {
  const bool is_reply = step >= Step::copy_back;
  const Leg& leg = is_reply ? journey.reply : journey.request;
  const Step kind = is_reply ? static_cast<Step>(static_cast<int>(step) - 7) : step;
  std::uint32_t last = 0;  // the sending that arrived
  for (const Hop& hop : leg.hops) last = std::max(last, hop.sending);
  std::vector<Hop> found;
  std::uint32_t sending = 0;
  for (const Hop& hop : leg.hops) {
    // Each sending waits in its own device first: the first one that is step 2a.
    const bool is_own = hop.sending != sending && hop.what == Hop::What::queue;
    sending = hop.sending;
    const bool is_lost = hop.what == Hop::What::lost;
    const bool is_wanted = kind == Step::queue_there     ? is_own && sending == 1
                           : kind == Step::resend_there  ? is_lost
                           : kind == Step::network_there ? !is_own && !is_lost && sending == last
                                                         : false;
    if (is_wanted) found.push_back(hop);
  }
  return found;
}

const Hop* end_of(const Leg& leg) {
  if (leg.rx || leg.recv_out) return nullptr;
  const bool is_lost = !leg.hops.empty() && leg.hops.back().what == Hop::What::lost;
  return is_lost ? &leg.hops.back() : nullptr;
}

std::string label_of(const Hop& hop) {
  const std::string place = hop.towards.empty() ? hop.at : hop.at + " > " + hop.towards;
  switch (hop.what) {
    case Hop::What::queue: return place + ": queue";
    case Hop::What::serialisation: return place + ": sending";
    case Hop::What::propagation: return place + ": on the way";
    case Hop::What::processing: return "in " + with_reason(place, hop);
    case Hop::What::lost: return with_reason(place + ": lost", hop);
  }
  return place;
}

std::string words_of(const Hop& hop) {
  const std::string took = short_time(hop.ns());
  switch (hop.what) {
    case Hop::What::queue:
      return "waited " + took + " in the queue of " + hop.at + " towards " + hop.towards;
    case Hop::What::serialisation: return "took " + took + " to be put on " + link_of(hop);
    case Hop::What::propagation: return "travelled " + took + " along " + link_of(hop);
    case Hop::What::processing: return with_reason("waited " + took + " in " + hop.at, hop);
    case Hop::What::lost:
      return with_reason("lost " + (hop.towards.empty() ? "in " + hop.at : "on " + link_of(hop)),
                         hop);
  }
  return took;
}

}  // namespace koine::journey
