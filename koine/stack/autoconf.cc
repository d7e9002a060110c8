// RFC 4862, sections 5.3 to 5.5; RFC 4861, sections 6.2 and 6.3.
#include "koine/stack/autoconf.h"

#include <algorithm>

namespace koine::stack {

using namespace wire;

namespace {

constexpr Duration two_hours = std::chrono::hours(2);

Instant after(Instant now, std::uint32_t seconds) {
  return seconds == nd_lifetime_infinite ? Instant::max() : now + std::chrono::seconds(seconds);
}

}  // namespace

Duration Autoconf::some(Duration max) {
  return Duration(
      static_cast<Duration::rep>(chance_.below(static_cast<std::uint64_t>(max.count()))));
}

void Autoconf::tell(Task task, Instant now) {
  tasks_.push_back(task);
  earliest_ = std::min(earliest_, now);
}

void Autoconf::begin(Instant now, bool solicits) {
  solicits_ = solicits_ || solicits;
  if (!addresses_.empty()) return;
  addresses_.push_back({.ip = link_local(), .at = now + some(delay_max)});
  look_ahead();
}

void Autoconf::announce(const RouterAdvertisement& what, Instant now) {
  announcement_ = what;
  announces_ = true;
  if (is_ready_) advertise_at_ = now;
  begin(now, false);
  look_ahead();
}

bool Autoconf::claimed(const Ipv6Address& address, std::optional<std::uint64_t> nonce) {
  for (Address& each : addresses_) {
    if (each.ip != address || each.state > State::asked) continue;
    if (each.state == State::asked && nonce == each.nonce) return false;  // our own (RFC 7527)
    if (address == link_local()) {
      // Two with one MAC: nothing on this interface could work (RFC 4862, section 5.4.5).
      solicits_ = announces_ = false;
    }
    each.state = State::refused;
    each.at = never;
    look_ahead();
    return true;
  }
  return false;
}

// RFC 4861, section 6.3.4.
void Autoconf::take(const Ipv6Address& router, const RouterAdvertisement& said, Instant now) {
  if (!solicits_) return;
  solicit_at_ = never;
  const auto known = std::find_if(routers_.begin(), routers_.end(),
                                  [&](const Router& each) { return each.ip == router; });
  if (said.router_lifetime_s == 0) {
    if (known != routers_.end()) {
      routers_.erase(known);
      tell({.what = Action::set_routers}, now);
    }
  } else if (known != routers_.end()) {
    known->until = now + std::chrono::seconds(said.router_lifetime_s);
  } else if (routers_.size() < routers_max) {
    routers_.push_back({router, now + std::chrono::seconds(said.router_lifetime_s)});
    tell({.what = Action::set_routers}, now);
  }
  for (const NdPrefix& each : said.options.prefixes) {
    if (each.prefix.length > 128 || each.prefix.address.is_link_local() ||
        each.prefix.address.is_multicast())
      continue;
    if (each.on_link) take_on_link(each, now);
    if (each.autonomous) take_autonomous(each, now);
  }
  look_ahead();
}

void Autoconf::take_on_link(const NdPrefix& said, Instant now) {
  const auto known = std::find_if(prefixes_.begin(), prefixes_.end(),
                                  [&](const Prefix& each) { return each.prefix == said.prefix; });
  if (known != prefixes_.end()) {
    known->until = after(now, said.valid_s);  // zero: over at once
  } else if (said.valid_s > 0 && prefixes_.size() < prefixes_max) {
    prefixes_.push_back({said.prefix, after(now, said.valid_s)});
    tell({Action::route, said.prefix.address, said.prefix.length}, now);
  }
}

// RFC 4862, section 5.5.3.
void Autoconf::take_autonomous(const NdPrefix& said, Instant now) {
  if (said.preferred_s > said.valid_s || said.prefix.length != 64) return;
  const Ipv6Address ip{said.prefix.address.high, link_local().low};
  for (Address& each : addresses_) {
    if (each.ip != ip) continue;
    // Nobody may take an address away by a forged word: two hours are left at least.
    const Instant until = after(now, said.valid_s);
    if (until >= std::min(each.valid_until, now + two_hours)) {
      each.valid_until = until;
    } else if (each.valid_until > now + two_hours) {
      each.valid_until = now + two_hours;
    }
    return;
  }
  if (said.valid_s == 0 || addresses_.size() >= addresses_max) return;
  addresses_.push_back(
      {.ip = ip, .valid_until = after(now, said.valid_s), .at = now + some(delay_max)});
}

// RFC 4861, section 6.2.6.
void Autoconf::solicited(Instant now) {
  if (!announces_ || !is_ready_) return;
  Instant at = now + some(500ms);
  if (advertised_at_ != Instant::min()) at = std::max(at, advertised_at_ + advertisement_gap);
  advertise_at_ = std::min(advertise_at_, at);
  look_ahead();
}

std::optional<Autoconf::Task> Autoconf::step(Address& address, Instant now) {
  if (address.state == State::new_) {
    address.state = State::asked;
    address.nonce = chance_() >> 16;
    address.at = now + probe_wait;
    return Task{Action::probe, address.ip, 64, address.nonce};
  }
  address.state = State::assigned;
  address.at = never;
  if (address.ip == link_local()) {
    is_ready_ = true;
    if (solicits_) solicit_at_ = now;
    if (announces_) advertise_at_ = now;
  }
  return Task{Action::assign, address.ip, 64, 0};
}

std::optional<Autoconf::Task> Autoconf::poll(Instant now) {
  if (earliest_ > now) return std::nullopt;
  std::optional<Task> task;
  if (!tasks_.empty()) {
    task = tasks_.front();
    tasks_.pop_front();
    look_ahead();
    return task;
  }
  std::erase_if(addresses_, [&](const Address& each) {
    return each.state != State::assigned && each.valid_until <= now;
  });
  for (auto it = addresses_.begin(); !task && it != addresses_.end(); ++it) {
    if (it->valid_until <= now) {
      task = Task{Action::withdraw, it->ip, 64, 0};
      addresses_.erase(it);
      break;
    }
    if (it->at <= now) task = step(*it, now);
  }
  for (auto it = prefixes_.begin(); !task && it != prefixes_.end(); ++it) {
    if (it->until > now) continue;
    task = Task{Action::unroute, it->prefix.address, it->prefix.length, 0};
    prefixes_.erase(it);
    break;
  }
  if (!task && std::erase_if(routers_, [&](const Router& each) { return each.until <= now; }) > 0)
    task = Task{.what = Action::set_routers};
  if (!task && solicit_at_ <= now) {
    solicit_at_ = ++solicitations_ < solicitations_max ? now + solicitation_interval : never;
    task = Task{.what = Action::solicit};
  }
  if (!task && advertise_at_ <= now) {
    advertised_at_ = now;
    advertise_at_ = now + advertisement_interval_min +
                    some(advertisement_interval_max - advertisement_interval_min);
    task = Task{.what = Action::advertise};
  }
  look_ahead();
  return task;
}

void Autoconf::look_ahead() {
  earliest_ = std::min(solicit_at_, advertise_at_);
  for (const Address& each : addresses_)
    earliest_ = std::min({earliest_, each.at, each.valid_until});
  for (const Prefix& each : prefixes_) earliest_ = std::min(earliest_, each.until);
  for (const Router& each : routers_) earliest_ = std::min(earliest_, each.until);
  if (!tasks_.empty()) earliest_ = Instant{};
}

std::vector<Ipv6Address> Autoconf::routers() const {
  std::vector<Ipv6Address> all;
  for (const Router& each : routers_) all.push_back(each.ip);
  return all;
}

}  // namespace koine::stack
