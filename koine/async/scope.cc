#include "koine/async/scope.h"

namespace koine {

void Child::over() noexcept { scope_->ended(*this); }

void Child::failed(Error error) noexcept {
  if (!scope_->error_ && !scope_->thrown_) scope_->error_ = std::move(error);
  scope_->cancel();
}

void Child::threw(std::exception_ptr thrown) noexcept {
  if (!scope_->error_ && !scope_->thrown_) scope_->thrown_ = std::move(thrown);
  scope_->cancel();
}

Scope::~Scope() { reap(); }

void Scope::adopt(Child* child, std::source_location where) {
  child->scope_ = this;
  child->spawned_at_ = where;
  children_.push_back(*child);
  loop_.add(*child);
  loop_.schedule(*child);
  ++running_;
}

void Scope::reap() {
  const Loop::Entered entered(loop_);  // what the children held may wake somebody
  while (!children_.empty()) {
    Child& child = children_.pop_front();
    --running_;
    delete &child;
  }
  joining_.wake_one(loop_);
}

/// A child is over. Its coroutine is suspended for the last time, so it may be destroyed here.
void Scope::ended(Child& child) noexcept {
  --running_;
  delete &child;
  if (running_ != 0) return;
  reaper_.leave();  // or it would meet those that are spawned next
  joining_.wake_one(loop_);
}

Result<void> Join::attempt_once() {
  if (scope_.running_ != 0) return fail(Fault::would_block);
  if (auto error = std::exchange(scope_.error_, std::nullopt))
    return std::unexpected(std::move(*error));
  return {};
}

}  // namespace koine
