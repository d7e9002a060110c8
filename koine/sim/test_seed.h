// test_seed: where a test's chance comes from, for those who write tests with GoogleTest.
//
//     TEST(Greeting, SurvivesALossyPath) {
//       sim::World world{test_seed()};
//
// A test that fails prints its seed and the command that tells the same story again. This is the
// one header that needs GoogleTest; nothing in the library includes it.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace koine {
namespace detail {

/// What the environment says under that name; null if nothing.
inline const char* environment(const char* name) {
  return std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nobody sets it
}

/// `text` as a word of a shell's command.
inline std::string shell_word(std::string_view text) {
  std::string word = "'";
  for (const char letter : text) word += letter == '\'' ? "'\\''" : std::string(1, letter);
  return word + "'";
}

/// Says, once for each test that fails, how to have it again.
class SeedTeller final : public testing::EmptyTestEventListener {
 public:
  /// The only one; GoogleTest owns it.
  static SeedTeller& instance() {
    static auto* const teller = [] {
      auto* const made = new SeedTeller;
      testing::UnitTest::GetInstance()->listeners().Append(made);
      return made;
    }();
    return *teller;
  }

  void set(std::uint64_t seed) {
    seed_ = seed;
    test_ = testing::UnitTest::GetInstance()->current_test_info();
  }

 private:
  void OnTestPartResult(const testing::TestPartResult& part) override {
    if (!part.failed() || !seed_ || test_ == nullptr) return;
    char program[4096];
    const ssize_t size = ::readlink("/proc/self/exe", program, sizeof program);
    const std::string filter = std::string(test_->test_suite_name()) + "." + test_->name();
    std::fprintf(stderr, "seed %llu, to have it again:\n    KOINE_SEED=%llu %s --gtest_filter=%s\n",
                 static_cast<unsigned long long>(*seed_), static_cast<unsigned long long>(*seed_),
                 shell_word({program, size > 0 ? static_cast<std::size_t>(size) : 0}).c_str(),
                 shell_word(filter).c_str());
    seed_.reset();
  }
  void OnTestEnd(const testing::TestInfo&) override { seed_.reset(); }

  std::optional<std::uint64_t> seed_;
  const testing::TestInfo* test_ = nullptr;  // asked for here, GoogleTest would wait for itself
};

/// All of `text` as a number.
inline std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// The seed in KOINE_SEED, if it is set; what is no number there fails the test.
inline std::optional<std::uint64_t> seed_asked_for() {
  const char* const text = environment("KOINE_SEED");
  if (text == nullptr) return std::nullopt;
  const auto seed = number(text);
  if (!seed) ADD_FAILURE() << "KOINE_SEED='" << text << "' is not a number from 0 to 2^64 - 1";
  return seed;
}

/// First and last of the seeds in KOINE_SEEDS ("1000", "501-1000"), or 1 to `count`.
inline std::pair<std::uint64_t, std::uint64_t> seeds_asked_for(std::uint64_t count) {
  const char* const text = environment("KOINE_SEEDS");
  if (text == nullptr) return {1, count};
  const std::string_view whole(text);
  const std::size_t dash = whole.find('-');
  const auto last = number(dash == whole.npos ? whole : whole.substr(dash + 1));
  const auto first = dash == whole.npos ? std::optional<std::uint64_t>(1)  //
                                        : number(whole.substr(0, dash));
  if (first && last && *first >= 1 && *first <= *last && *last < ~std::uint64_t{0})
    return {*first, *last};
  ADD_FAILURE() << "KOINE_SEEDS='" << text << "' is neither a count like 1000 nor a range like "
                << "501-1000";
  return {1, 0};
}

}  // namespace detail

/// The seed for the test that runs now: the number in the environment's KOINE_SEED, else one of the
/// test's own, made of its name and the same in every run.
inline std::uint64_t test_seed() {
  auto seed = detail::seed_asked_for();
  if (!seed) {
    const testing::TestInfo* const test = testing::UnitTest::GetInstance()->current_test_info();
    std::uint64_t hash = 0xcbf2'9ce4'8422'2325;  // FNV-1a
    const auto mix = [&](std::string_view text) {
      for (const char letter : text)
        hash = (hash ^ static_cast<unsigned char>(letter)) * 0x100'0000'01b3;
    };
    if (test != nullptr) {
      mix(test->test_suite_name());
      mix(".");
      mix(test->name());
    }
    seed = hash >> 32;  // short enough to be typed
  }
  detail::SeedTeller::instance().set(*seed);
  return *seed;
}

/// Calls `tell(seed)` for the seeds from 1 to `count` until the test has failed: for what has to
/// hold whatever happens. KOINE_SEEDS=1000 makes it a thousand, KOINE_SEEDS=501-1000 the second
/// half of these, and KOINE_SEED=17 that one alone.
template <class Tell>
void try_seeds(std::uint64_t count, Tell&& tell) {
  const auto one = detail::seed_asked_for();
  const auto [first, last] = one ? std::pair(*one, *one) : detail::seeds_asked_for(count);
  for (std::uint64_t seed = first; seed <= last && !testing::Test::HasFailure(); ++seed) {
    detail::SeedTeller::instance().set(seed);
    tell(seed);
    if (seed == last) break;  // which may be the greatest there is
  }
}

}  // namespace koine
