// A process for each connection.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "koine/os/elsewhere_test.h"

namespace koine::os {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;
using testing::UnorderedElementsAre;

class ProcessWorkers : public testing::Test {
 protected:
  void SetUp() override {
#ifdef KOINE_TSAN
    GTEST_SKIP() << "ThreadSanitizer does not follow into forked processes";
#endif
  }
  void TearDown() override {
    // Every child was reaped: not one is left, dead or alive.
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
    EXPECT_EQ(errno, ECHILD);
  }
};

/// Ends in the way that it is told to.
Io<void> obey(Reactor&, std::unique_ptr<Stream> client, Event&) {
  auto asking = order_of(*client);
  const auto order = co_await attempt(std::move(asking));
  if (order == "segfault") {
    ::signal(SIGSEGV, SIG_DFL);  // a sanitizer may have made it its own
    ::raise(SIGSEGV);
  }
  if (order == "abort") std::abort();
  if (order == "exit") ::_exit(3);
  if (order == "fail") co_return fail(Fault::malformed, "understand", "you");
  if (order == "throw") throw std::runtime_error("out of patience");
  const std::string pid = std::to_string(::getpid());
  co_await attempt(write_all(*client, pid));
  co_return {};
}

TEST_F(ProcessWorkers, GiveEachConnectionAProcessOfItsOwn) {
  run_story([](Reactor& reactor, Network& network) -> Io<void> {
    Elsewhere server(reactor, network, serve_in_process, obey);
    auto both = all(server.ask("who?"), server.ask("who?"));
    const auto [first, second] = co_await attempt(std::move(both));
    EXPECT_NE(first, second);
    EXPECT_NE(first, std::to_string(::getpid()));
    co_await attempt(server.guests.join());
    EXPECT_EQ(server.ended, 2);
    EXPECT_THAT(server.errors, IsEmpty());
    co_return {};
  });
}

TEST_F(ProcessWorkers, MayCrashWithoutHarmingOthersAndTheErrorNamesTheSignal) {
  run_story([](Reactor& reactor, Network& network) -> Io<void> {
    Elsewhere server(reactor, network, serve_in_process, obey);
    auto connecting = server.connect();
    const auto bystander = co_await attempt(std::move(connecting));
    for (const char* order : {"segfault", "abort", "exit", "fail", "throw"}) {
      auto asking = server.ask(order);
      const auto answer = co_await asking;
      EXPECT_EQ(answer.value_or("reset"), answer ? "" : "reset") << order;
    }
    co_await attempt(write_all(*bystander, "who?\n"));
    auto reading = read_to_end(*bystander);
    EXPECT_NE(co_await attempt(std::move(reading)), "");
    co_await attempt(server.guests.join());
    EXPECT_THAT(
        server.errors,
        UnorderedElementsAre(HasSubstr("killed by signal 11 (Segmentation fault)"),
                             HasSubstr("killed by signal 6 (Aborted)"), HasSubstr("exit status 3"),
                             HasSubstr("understand you: malformed"),
                             HasSubstr("serve: failed: out of patience")));
    EXPECT_THAT(server.errors, testing::Each(StartsWith("serve in process ")));
    co_return {};
  });
}

/// What is open in this process besides the standard streams, as /proc shows it.
std::string open_files() {
  std::string files;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    if (std::stoi(entry.path().filename()) <= STDERR_FILENO) continue;
    std::error_code gone;
    files += std::filesystem::read_symlink(entry, gone).string() + "\n";
  }
  return files;
}

TEST_F(ProcessWorkers, InheritNothingButTheirConnection) {
  std::FILE* secret = std::tmpfile();
  ::fcntl(::fileno(secret), F_SETFD, 0);  // not even close-on-exec
  run_story([](Reactor& reactor, Network& network) -> Io<void> {
    Elsewhere server(reactor, network, serve_in_process,
                     [](Reactor&, std::unique_ptr<Stream> client, Event&) -> Io<void> {
                       auto asking = order_of(*client);
                       co_await attempt(std::move(asking));
                       const std::string files = open_files();
                       co_await attempt(write_all(*client, files));
                       co_return {};
                     });
    // Both are open in the parent while the second child looks.
    auto connecting = server.connect();
    const auto other = co_await attempt(std::move(connecting));
    auto asking = server.ask("look");
    const auto files = co_await attempt(std::move(asking));
    std::size_t sockets = 0;
    for (auto at = files.find("socket:"); at != files.npos; at = files.find("socket:", at + 1))
      ++sockets;
    EXPECT_EQ(sockets, 1) << files;
    EXPECT_THAT(files, Not(HasSubstr("/tmp/"))) << "the parent's file";
    co_await attempt(write_all(*other, "\n"));
    co_return co_await server.guests.join();
  });
  std::fclose(secret);
}

Io<void> wait_for_drain(Reactor&, std::unique_ptr<Stream> client, Event& drain) {
  co_await attempt(write_all(*client, "hello, "));
  co_await drain.wait();
  co_await attempt(write_all(*client, "bye"));
  co_return {};
}

TEST_F(ProcessWorkers, HearThatTheyShouldComeToAnEnd) {
  run_story([](Reactor& reactor, Network& network) -> Io<void> {
    Elsewhere server(reactor, network, serve_in_process, wait_for_drain);
    std::vector<std::unique_ptr<Stream>> clients;
    for (int i = 0; i < 5; ++i) {
      auto connecting = server.connect();
      clients.push_back(co_await attempt(std::move(connecting)));
    }
    co_await attempt(receive(*clients.front()));
    server.orders.drain.set();  // the first has said hello; the others may have just been born
    for (const auto& client : clients) {
      auto reading = read_to_end(*client);
      EXPECT_THAT(co_await attempt(std::move(reading)), testing::EndsWith("bye"));
    }
    co_await attempt(server.guests.join());
    EXPECT_THAT(server.errors, IsEmpty());
    co_return {};
  });
}

TEST_F(ProcessWorkers, HearItEvenIfItWasSaidBeforeTheyWereBorn) {
  run_story([](Reactor& reactor, Network& network) -> Io<void> {
    Elsewhere server(reactor, network, serve_in_process, wait_for_drain);
    server.orders.drain.set();
    for (int i = 0; i < 10; ++i) {
      auto asking = server.ask("x");
      EXPECT_EQ(co_await attempt(std::move(asking)), "hello, bye");
    }
    co_await attempt(server.guests.join());
    EXPECT_THAT(server.errors, IsEmpty());
    co_return {};
  });
}

TEST_F(ProcessWorkers, EndWhenToldToStop) {
  run_story([](Reactor& reactor, Network& network) -> Io<void> {
    Elsewhere server(reactor, network, serve_in_process,
                     [](Reactor&, std::unique_ptr<Stream> client, Event&) -> Io<void> {
                       for (;;) co_await attempt(receive(*client));
                     });
    std::vector<std::unique_ptr<Stream>> clients;
    for (int i = 0; i < 3; ++i) {
      auto connecting = server.connect();
      clients.push_back(co_await attempt(std::move(connecting)));
    }
    server.orders.stop.set();
    co_await attempt(server.guests.join());
    EXPECT_EQ(server.ended, 3);
    co_return {};
  });
}

TEST_F(ProcessWorkers, AreKilledWhenTheirTaskIsDestroyedWhateverTheyDo) {
  run_story([](Reactor& reactor, Network& network) -> Io<void> {
    Elsewhere server(reactor, network, serve_in_process,
                     [](Reactor&, std::unique_ptr<Stream> client, Event&) -> Io<void> {
                       co_await attempt(write_all(*client, "I block"));
                       co_await attempt(flush(*client));
                       for (;;) ::pause();
                     });
    auto connecting = server.connect();
    const auto client = co_await attempt(std::move(connecting));
    co_await attempt(receive(*client));
    server.guests.cancel();
    co_await attempt(server.guests.join());
    co_return {};
  });
}

TEST_F(ProcessWorkers, LoseNothingThatWasWrittenBeforeTheyEnded) {
  expect_that_all_that_was_written_arrives(serve_in_process);
}

TEST_F(ProcessWorkers, DoNotWriteWhatTheirParentHadNotYetWritten) {
  const std::string path =
      testing::TempDir() + "koine_process_workers_" + std::to_string(::getpid());
  std::FILE* file = std::fopen(path.c_str(), "w");
  std::fputs("once\n", file);
  run_story([](Reactor& reactor, Network& network) -> Io<void> {
    Elsewhere server(reactor, network, serve_in_process, obey);
    auto asking = server.ask("who?");
    co_await attempt(std::move(asking));
    co_return co_await server.guests.join();
  });
  std::fclose(file);
  EXPECT_EQ(std::filesystem::file_size(path), 5);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace koine::os
