#include "koine/os/resolver.h"

#include <ares.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <span>

#include "koine/async/event.h"

namespace koine::os {
namespace {

/// c-ares counts the users of its library; ours never ends.
int ares_is_ready() {
  static std::once_flag once;
  static int status = ARES_SUCCESS;
  std::call_once(once, [] { status = ares_library_init(ARES_LIB_INIT_ALL); });
  return status;
}

Fault fault_of_ares(int status) {
  switch (status) {
    case ARES_ENOTFOUND:
    case ARES_ENODATA:
    case ARES_EBADNAME: return Fault::not_found;
    case ARES_ETIMEOUT: return Fault::timed_out;
    case ARES_ECONNREFUSED: return Fault::unreachable;  // of the servers, not of the name's owner
    case ARES_EBADSTR: return Fault::malformed;
    case ARES_ENOMEM: return Fault::exhausted;
    case ARES_ECANCELLED:
    case ARES_EDESTRUCTION: return Fault::cancelled;
    default: return Fault::system;
  }
}

constexpr int tcp_steps_max = 64;

/// One query, with a channel of its own: destroying it takes back everything.
class Lookup {
 public:
  Lookup(Reactor& reactor, std::string name, ResolverOptions wanted)
      : reactor_(reactor), name_(std::move(name)), wanted_(std::move(wanted)), pulse_(*this) {}
  Lookup(const Lookup&) = delete;
  ~Lookup() {
    if (channel_ != nullptr) ares_destroy(channel_);
  }

  Result<void> begin() {
    ares_options options{};
    options.sock_state_cb = [](void* self, ares_socket_t fd, int readable, int writable) {
      static_cast<Lookup*>(self)->state_changed(fd, readable != 0, writable != 0);
    };
    options.sock_state_cb_data = this;
    options.timeout = static_cast<int>(
        std::chrono::ceil<std::chrono::milliseconds>(std::clamp<Duration>(wanted_.timeout, 1ms, 1h))
            .count());
    options.tries = std::max(wanted_.tries, 1);
    int begun = ares_is_ready();
    if (begun == ARES_SUCCESS) {
      begun = ares_init_options(&channel_, &options,
                                ARES_OPT_SOCK_STATE_CB | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES);
    }
    if (begun == ARES_SUCCESS && !wanted_.servers.empty())
      begun = ares_set_servers_ports_csv(channel_, wanted_.servers.c_str());
    if (begun != ARES_SUCCESS) return std::unexpected(error_of(begun));
    ares_addrinfo_hints hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    ares_getaddrinfo(
        channel_, name_.c_str(), nullptr, &hints,
        [](void* self, int result, int, ares_addrinfo* found) {
          static_cast<Lookup*>(self)->answered(result, found);
        },
        this);
    set_timer();
    return {};
  }

  Event over;
  int status = ARES_SUCCESS;
  std::vector<IpAddress> addresses;

  Error error_of(int code) const {
    return Error(fault_of_ares(code), "resolve", name_).with_note(ares_strerror(code));
  }

 private:
  /// One of c-ares' sockets.
  class Socket {
   public:
    Socket(Lookup& lookup, ares_socket_t fd) : lookup_(lookup) { watcher_.fd = fd; }
    ~Socket() {
      if (watched_) lookup_.reactor_.unwatch(watcher_);
    }
    bool begin() { return watched_ = lookup_.reactor_.watch(watcher_).has_value(); }
    void wants(bool readable, bool writable) {
      if (readable && !reading_.listed()) watcher_.readers.join(reading_);
      if (!writable) {
        writing_.leave();
      } else if (watcher_.can_write()) {
        lookup_.reactor_.loop().schedule(writing_);
      } else {
        watcher_.writers.join(writing_);
      }
    }

   private:
    class Step final : public Runnable {
     public:
      explicit Step(Socket& socket) : socket_(socket) {}
      void run() override { socket_.advance(); }

     private:
      Socket& socket_;
    };

    void advance() {
      const ares_socket_t fd = watcher_.fd;
      const bool reads = watcher_.can_read();
      const bool writes = watcher_.can_write();
      watcher_.emptied();
      watcher_.filled();
      watcher_.readers.join(reading_);
      lookup_.process(reads ? fd : ARES_SOCKET_BAD, writes ? fd : ARES_SOCKET_BAD);  // may end this
    }

    Lookup& lookup_;
    Watcher watcher_;
    Step reading_{*this};
    Step writing_{*this};
    bool watched_ = false;
  };

  /// c-ares' own timeouts.
  class Pulse final : public Timer {
   public:
    explicit Pulse(Lookup& lookup) : lookup_(lookup) {}
    void run() override { lookup_.ran_out(); }

   private:
    Lookup& lookup_;
  };

  void state_changed(ares_socket_t fd, bool readable, bool writable) {
    if (!readable && !writable) {
      sockets_.erase(fd);
      return;
    }
    auto [at, is_new] = sockets_.try_emplace(fd, nullptr);
    if (is_new) {
      at->second = std::make_unique<Socket>(*this, fd);
      if (!at->second->begin()) {
        sockets_.erase(at);
        return;  // unwatched: c-ares' timeout ends it
      }
    }
    at->second->wants(readable, writable);
  }

  void process(ares_socket_t readable, ares_socket_t writable) {
    ares_process_fd(channel_, readable, writable);
    // c-ares reads an answer over TCP in steps, and news may come only once for all of them.
    std::byte next;
    for (int steps = 0; steps < tcp_steps_max && sockets_.contains(readable) &&
                        ::recv(readable, &next, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
         ++steps)
      ares_process_fd(channel_, readable, ARES_SOCKET_BAD);
    set_timer();
  }

  void ran_out() { process(ARES_SOCKET_BAD, ARES_SOCKET_BAD); }

  void set_timer() {
    timeval room{};
    if (const timeval* next = ares_timeout(channel_, nullptr, &room)) {
      const Duration wait =
          std::chrono::seconds(next->tv_sec) + std::chrono::microseconds(next->tv_usec);
      reactor_.loop().arm(pulse_, reactor_.loop().now() + wait);
    } else {
      pulse_.cancel();
    }
  }

  void answered(int result, ares_addrinfo* found) {
    status = result;
    if (result == ARES_EDESTRUCTION) return;
    if (found != nullptr) {
      for (const ares_addrinfo_node* node = found->nodes; node != nullptr; node = node->ai_next) {
        if (node->ai_family == AF_INET) {
          const auto* from = reinterpret_cast<const sockaddr_in*>(node->ai_addr);
          addresses.push_back(IpAddress::v4(std::span<const std::byte, 4>(
              reinterpret_cast<const std::byte*>(&from->sin_addr), 4)));
        } else if (node->ai_family == AF_INET6) {
          const auto* from = reinterpret_cast<const sockaddr_in6*>(node->ai_addr);
          addresses.push_back(
              IpAddress::v6(std::span<const std::byte, 16>(
                                reinterpret_cast<const std::byte*>(&from->sin6_addr), 16))
                  .with_zone_index(from->sin6_scope_id));
        }
      }
      ares_freeaddrinfo(found);
    }
    over.set();
  }

  Reactor& reactor_;
  std::string name_;
  ResolverOptions wanted_;
  ares_channel channel_ = nullptr;
  std::map<ares_socket_t, std::unique_ptr<Socket>> sockets_;
  Pulse pulse_;
};

/// RFC 6761, section 6.3: these names are loopback whatever DNS says, and DNS is not asked.
bool is_localhost(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  return name == "localhost" || name.ends_with(".localhost");
}

}  // namespace

Io<std::vector<IpAddress>> resolve(Reactor& reactor, std::string name, ResolverOptions options) {
  if (is_localhost(name)) co_return std::vector{loopback_v6, loopback_v4};
  if (const auto ip = parse_ip(name)) co_return std::vector{*ip};  // c-ares would ask about it
  Lookup lookup(reactor, std::move(name), std::move(options));
  co_await attempt(lookup.begin());
  co_await lookup.over.wait();
  if (lookup.status != ARES_SUCCESS || lookup.addresses.empty()) {
    const int status = lookup.status == ARES_SUCCESS ? ARES_ENODATA : lookup.status;
    co_return std::unexpected(lookup.error_of(status));
  }
  co_return std::move(lookup.addresses);
}

}  // namespace koine::os
