// gRPC C++ with its callback API, as server and as load: what bench/messages.py measures beside
// koine's messages.
//
//     grpc_messages serve ADDRESS
//     grpc_messages calls ADDRESS OUTSTANDING SECONDS      one connection; prints the answers
//     grpc_messages items ADDRESS SECONDS                  one stream; prints the items
//
// Every answer and item is compared.
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "messages.grpc.pb.h"

namespace {

using Clock = std::chrono::steady_clock;

class Service final : public bench::Messages::CallbackService {
  grpc::ServerUnaryReactor* Echo(grpc::CallbackServerContext* context, const bench::Text* request,
                                 bench::Text* response) override {
    response->set_data(request->data());
    auto* const reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }

  grpc::ServerWriteReactor<bench::Number>* Count(grpc::CallbackServerContext*,
                                                 const bench::Number* to) override {
    class Counting final : public grpc::ServerWriteReactor<bench::Number> {
     public:
      explicit Counting(std::uint64_t to) : to_(to) { Next(); }
      void OnWriteDone(bool ok) override {
        if (ok) {
          Next();
        } else {
          Finish(grpc::Status::CANCELLED);
        }
      }
      void OnDone() override { delete this; }

     private:
      void Next() {
        if (at_ == to_) {
          Finish(grpc::Status::OK);
          return;
        }
        item_.set_value(at_++);
        StartWrite(&item_);
      }
      bench::Number item_;
      std::uint64_t at_ = 0;
      std::uint64_t to_;
    };
    return new Counting(to->value());
  }
};

/// One of the calls that are outstanding: asks again as soon as it is answered.
class Caller {
 public:
  Caller(bench::Messages::Stub& stub, int number, Clock::time_point end) : stub_(stub), end_(end) {
    request_.set_data(std::string(64, static_cast<char>('a' + number % 26)));
  }

  void Ask() {
    context_.emplace();
    stub_.async()->Echo(&*context_, &request_, &response_, [this](const grpc::Status& status) {
      if (!status.ok() || response_.data() != request_.data()) std::abort();
      ++answered;
      if (Clock::now() < end_) {
        Ask();
      } else {
        const std::lock_guard lock(mutex_);
        over_ = true;
        news_.notify_one();
      }
    });
  }
  void Wait() {
    std::unique_lock lock(mutex_);
    news_.wait(lock, [this] { return over_; });
  }

  std::uint64_t answered = 0;

 private:
  bench::Messages::Stub& stub_;
  Clock::time_point end_;
  std::optional<grpc::ClientContext> context_;
  bench::Text request_;
  bench::Text response_;
  std::mutex mutex_;
  std::condition_variable news_;
  bool over_ = false;
};

void Calls(bench::Messages::Stub& stub, int outstanding, double seconds) {
  const auto begun = Clock::now();
  const auto end = begun + std::chrono::duration_cast<Clock::duration>(
                               std::chrono::duration<double>(seconds));
  std::vector<std::unique_ptr<Caller>> callers;
  for (int i = 0; i < outstanding; ++i)
    callers.push_back(std::make_unique<Caller>(stub, i, end));
  for (auto& caller : callers) caller->Ask();
  std::uint64_t answered = 0;
  for (auto& caller : callers) {
    caller->Wait();
    answered += caller->answered;
  }
  std::printf("%llu\n", static_cast<unsigned long long>(answered));
}

void Items(bench::Messages::Stub& stub, double seconds) {
  const auto end = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                      std::chrono::duration<double>(seconds));
  class Taking final : public grpc::ClientReadReactor<bench::Number> {
   public:
    Taking(bench::Messages::Stub& stub, Clock::time_point end) : end_(end) {
      to_.set_value(std::uint64_t{1} << 62);
      stub.async()->Count(&context_, &to_, this);
      StartRead(&item_);
      StartCall();
    }
    void OnReadDone(bool ok) override {
      if (!ok) return;
      if (item_.value() != taken_) std::abort();
      ++taken_;
      if (taken_ % 256 == 0 && Clock::now() >= end_) context_.TryCancel();
      StartRead(&item_);
    }
    void OnDone(const grpc::Status&) override {
      const std::lock_guard lock(mutex_);
      over_ = true;
      news_.notify_one();
    }
    std::uint64_t Wait() {
      std::unique_lock lock(mutex_);
      news_.wait(lock, [this] { return over_; });
      return taken_;
    }

   private:
    Clock::time_point end_;
    grpc::ClientContext context_;
    bench::Number to_;
    bench::Number item_;
    std::uint64_t taken_ = 0;
    std::mutex mutex_;
    std::condition_variable news_;
    bool over_ = false;
  };
  Taking taking(stub, end);
  std::printf("%llu\n", static_cast<unsigned long long>(taking.Wait()));
}

}  // namespace

int main(int count, char** words) {
  const std::string what = count > 2 ? words[1] : "";
  if (what == "serve") {
    Service service;
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort(words[2], grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&service);
    const auto server = builder.BuildAndStart();
    if (server == nullptr || port == 0) return 1;
    std::printf("%d\n", port);
    std::fflush(stdout);
    server->Wait();
    return 0;
  }
  if (count < 4) return 2;
  const auto channel = grpc::CreateChannel(words[2], grpc::InsecureChannelCredentials());
  const auto stub = bench::Messages::NewStub(channel);
  if (what == "calls" && count == 5) {
    Calls(*stub, std::atoi(words[3]), std::atof(words[4]));
  } else if (what == "items") {
    Items(*stub, std::atof(words[3]));
  } else {
    return 2;
  }
  return 0;
}
