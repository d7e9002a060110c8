#include "koine/sim/host.h"

#include <algorithm>

#include "koine/sim/follower.h"
#include "koine/sim/sockets.h"
#include "koine/sim/world.h"
#include "koine/wire/ethernet.h"

namespace koine::sim {

Host::Host(World& world, std::string name, const HostOptions& options, Processor& processor)
    : Node(std::move(name)),
      world_(world),
      options_(options),
      processor_(processor),
      network_(std::make_unique<HostNetwork>(*this)),
      chance_(world.timeline().chance_for("host " + this->name())) {
  processor_.attach(*this);
  boot();
}

Host::~Host() {
  crash();
  processor_.detach(*this);
}

Network& Host::network() { return *network_; }
BlockPool& Host::blocks() { return world_.blocks(); }

// Programs.

void Host::run(Program program) { add(std::move(program), false); }

void Host::add(Program program, bool is_service) {
  programs_.push_back(std::make_unique<Running>());
  programs_.back()->program = std::move(program);
  programs_.back()->is_service = is_service;
  if (is_up()) start(*programs_.back());
}

void Host::start(Running& running) {
  running.over = false;
  running.error.reset();
  running.task = std::make_unique<Started<Io<void>>>(loop(), running.program(*network_));
  if (!processor_.is_running()) processor_.wake();
}

bool Host::look_after_programs() {
  bool ended = false;
  for (const auto& running : programs_) {
    if (running->task == nullptr || !running->task->done()) continue;
    auto answer = running->task->take();
    if (!answer) running->error = std::move(answer.error());
    running->over = true;
    running->task.reset();
    ended = true;
  }
  return ended;
}

bool Host::finished() const {
  return std::ranges::all_of(programs_, [](const auto& running) {
    return (running->over || running->is_service) && !running->error;
  });
}

std::optional<Error> Host::error() const {
  for (const auto& running : programs_)
    if (running->error) return running->error;
  return std::nullopt;
}

// The machine.

void Host::boot() {
  ++boot_;
  stack_ = std::make_unique<stack::Host>(stack::HostOptions{.seed = chance_(),
                                                            .profile = options_.profile,
                                                            .ttl = options_.ttl,
                                                            .forwards = options_.forwards});
  for (std::size_t i = 0; i < nic_count(); ++i)
    stack_->add_nic({.ethernet = true, .mac = nic(i).mac, .mtu = nic(i).mtu});
  for (const OwnAddress& each : addresses_)
    stack_->add_address(static_cast<int>(each.nic), each.ip, each.length, local_now());
  for (const auto& gateway : gateways_)
    if (gateway) stack_->add_default_route(static_cast<int>(gateway->nic), gateway->ip);
  poke();
}

void Host::crash() {
  assert(!processor_.is_running() && "a program does not switch off its own machine");
  // Without its stack, whatever the programs do while they are destroyed reaches nobody.
  const auto stack = std::move(stack_);
  watching_.clear();
  {
    const Loop::Entered entered(loop());
    lingering_.clear();
    for (auto at = programs_.rbegin(); at != programs_.rend(); ++at) (*at)->task.reset();
  }
  ring_.clear();
  is_called_ = false;
}

void Host::reboot() {
  if (is_up()) crash();
  boot();
  for (const auto& running : programs_) start(*running);
}

void Host::pause() { processor_.pause(); }
void Host::resume() { processor_.resume(); }

void Host::poke() {
  is_called_ = true;
  if (!processor_.is_running()) processor_.wake();
}

// Addresses.

void Host::attached(Nic& nic) {
  if (is_up()) stack_->add_nic({.ethernet = true, .mac = nic.mac, .mtu = nic.mtu});
}

void Host::add_address(Nic& nic, const stack::Ip& address, int prefix_length) {
  addresses_.push_back({nic.index, address, prefix_length});
  if (!is_up()) return;
  stack_->add_address(static_cast<int>(nic.index), address, prefix_length, local_now());
  poke();
}

void Host::set_gateway(Nic& nic, const stack::Ip& gateway) {
  gateways_[gateway.is_v4() ? 0 : 1] = Gateway{nic.index, gateway};
  if (is_up()) stack_->add_default_route(static_cast<int>(nic.index), gateway);
}

std::vector<IpAddress> Host::addresses() const {
  std::vector<IpAddress> all;
  for (const bool v4 : {true, false})
    for (const OwnAddress& each : addresses_)
      if (each.ip.is_v4() == v4) all.push_back(ip_address_of(each.ip));
  return all;
}

std::vector<std::pair<stack::Ip, int>> Host::addresses_of(const Nic& nic) const {
  std::vector<std::pair<stack::Ip, int>> own;
  for (const OwnAddress& each : addresses_)
    if (each.nic == nic.index) own.emplace_back(each.ip, each.length);
  return own;
}

IpAddress Host::v4() const {
  for (const IpAddress& each : addresses())
    if (each.is_v4()) return each;
  assert(false && "a host that is linked to nothing has no address");
  return {};
}

IpAddress Host::v6() const {
  for (const IpAddress& each : addresses())
    if (each.is_v6()) return each;
  assert(false && "a host that is linked to nothing has no address");
  return {};
}

// Frames and events.

void Host::receive(Nic& nic, Frame frame) {
  if (!is_up()) return;
  if (processor_.is_paused()) {
    if (ring_.size() < ring_frames_max) ring_.push_back({nic.index, std::move(frame)});
    return;
  }
  input(nic, frame);
  processor_.run();
}

void Host::input(const Nic& nic, const Frame& frame) {
  stack_->input(static_cast<int>(nic.index), frame.bytes(), local_now());
  is_called_ = true;
  if (Follower* const follower = world_.follower()) follower->taken(*this, frame.bytes());
}

bool Host::advance() {
  bool did = look_after_programs();
  if (!is_up()) return did;
  while (!ring_.empty()) {
    const auto [index, frame] = std::move(ring_.front());
    ring_.pop_front();
    input(nic(index), frame);
  }
  if (!is_called_ && next_deadline() > local_now()) return did;
  for (bool more = true; more;) {
    is_called_ = false;
    more = transmit();
    more |= tell_users();
    more |= end_lingering();
    more |= is_called_;
    did |= more;
  }
  return did;
}

bool Host::transmit() {
  bool did = false;
  for (;;) {
    if (!room_) {
      std::size_t mtu = 1500;
      for (std::size_t i = 0; i < nic_count(); ++i) mtu = std::max<std::size_t>(mtu, nic(i).mtu);
      room_ = world_.frames().make(mtu + wire::EthernetHeader::size);
    }
    const auto sent = stack_->poll_transmit(local_now(), room_.room());
    if (!sent) {
      room_ = {};  // back to those who have something to send
      return did;
    }
    did = true;
    room_.resize(sent->size);
    room_.set_control(options_.is_background && !sent->forwarded);
    nic(static_cast<std::size_t>(sent->nic)).send(std::exchange(room_, {}));
  }
}

bool Host::tell_users() {
  bool did = false;
  while (const auto event = stack_->poll_event()) {
    did = true;
    const std::size_t index = event->socket.index;
    if (index >= watching_.size()) continue;
    const Watching watching = watching_[index];
    if (watching.user != nullptr && watching.socket == event->socket)
      watching.user->happened(event->what);
  }
  return did;
}

Instant Host::next_deadline() {
  if (!is_up()) return Instant::max();
  Instant next = stack_->next_deadline();
  for (const auto& each : lingering_) next = std::min(next, each->deadline());
  return next;
}

// Sockets.

void Host::watch(stack::SocketId socket, SocketUser& user) {
  if (socket.index >= watching_.size()) watching_.resize(socket.index + 1);
  watching_[socket.index] = {socket, &user};
}

void Host::unwatch(stack::SocketId socket) {
  if (socket.index < watching_.size() && watching_[socket.index].socket == socket)
    watching_[socket.index] = {};
}

void Host::linger(stack::SocketId socket, Outbox outbox) {
  lingering_.push_back(std::make_unique<Lingering>(*this, socket, std::move(outbox),
                                                   local_now() + Lingering::time_max));
  poke();
}

bool Host::end_lingering() {
  return std::erase_if(lingering_, [&](const auto& each) { return each->advance(); }) != 0;
}

}  // namespace koine::sim
