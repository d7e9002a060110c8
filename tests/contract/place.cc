#include "tests/contract/place.h"

#include <cstdlib>

#include "tests/contract/stories.h"

namespace koine::contract {

const std::vector<Kind>& kinds() {
  static const std::vector<Kind> all = [] {
    std::vector<Kind> kinds = os_kinds();
    for (const Kind& each : sim_kinds()) kinds.push_back(each);
    return kinds;
  }();
  return all;
}

void ContractTest::SetUp() {
  std::string why_not;
  place = GetParam().make(why_not);
  if (place != nullptr) return;
  const char* ci = std::getenv("CI");  // NOLINT(concurrency-mt-unsafe)
  const bool is_ci = ci != nullptr && std::string(ci) == "true";
  if (is_ci && !GetParam().may_be_missing) FAIL() << why_not;
  GTEST_SKIP() << GetParam().name << " is NOT TESTED here: " << why_not;
}

ContractTest::Ends ContractTest::connected() {
  auto listener = server().listen(place->any_tcp());
  EXPECT_TRUE(listener) << why(listener);
  auto [dialed, accepted] = place->run(dial(client(), (*listener)->endpoint()), accept(**listener));
  EXPECT_TRUE(dialed) << why(dialed);
  EXPECT_TRUE(accepted) << why(accepted);
  return {std::move(*dialed), std::move(*accepted)};
}

}  // namespace koine::contract
