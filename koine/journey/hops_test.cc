#include "koine/journey/hops.h"

#include <gtest/gtest.h>

#include "koine/journey/export.h"
#include "koine/journey/made_test.h"
#include "koine/journey/picture.h"
#include "koine/journey/recorder.h"

namespace koine::journey {
namespace {

using What = Hop::What;

/// One after the other from `ns` on; the client's device is the first queue.
std::vector<Hop> way(std::int64_t ns, std::int64_t queue_of_r, std::uint32_t sending = 1) {
  std::vector<Hop> hops{{What::queue, "c", "r"},       {What::serialisation, "c", "r"},
                        {What::propagation, "c", "r"}, {What::processing, "r"},
                        {What::queue, "r", "s"},       {What::serialisation, "r", "s"},
                        {What::propagation, "r", "s"}, {What::processing, "s"}};
  const std::int64_t took[] = {2000, 500, 1000, 0, queue_of_r, 500, 1000, 0};
  for (std::size_t i = 0; i < hops.size(); ++i) {
    hops[i].in_ns = ns;
    hops[i].out_ns = ns += took[i];
    hops[i].sending = sending;
  }
  return hops;
}

/// Whatever came after the request's sending comes that much later.
void delay(Journey& journey, std::int64_t ns) {
  Leg& there = journey.request;
  Leg& back = journey.reply;
  for (Stamp* stamp : {&there.rx, &there.recv_in, &there.recv_out, &back.write_in, &back.write_out,
                       &back.sched, &back.snd[0], &back.rx, &back.recv_in, &back.recv_out})
    stamp->ns += ns;
}

/// As made_journey(), but for a wait in r on the way there.
Journey simulated(std::int64_t queue_of_r) {
  Journey journey = made_journey();
  journey.request.hops = way(journey.request.sched.ns, queue_of_r);
  delay(journey, journey.request.hops.back().out_ns - journey.request.rx.ns);
  return journey;
}

std::int64_t sum(const std::vector<Hop>& hops) {
  std::int64_t ns = 0;
  for (const Hop& hop : hops) ns += hop.ns();
  return ns;
}

TEST(Hops, AddUpToTheQueueOfTheDeviceAndToTheNetwork) {
  const Journey journey = simulated(40'000);
  const Spans spans = spans_of(journey);
  for (const Step step : {Step::queue_there, Step::network_there})
    EXPECT_EQ(sum(hops_of(journey, step)), spans.find(step)->ns()) << name_of(step);
  EXPECT_EQ(hops_of(journey, Step::queue_there).size(), 1U);
  EXPECT_EQ(hops_of(journey, Step::network_there).size(), 7U);
  EXPECT_TRUE(hops_of(journey, Step::network_back).empty());
  EXPECT_TRUE(hops_of(journey, Step::wake_there).empty());
  EXPECT_TRUE(hops_of(made_journey(), Step::network_there).empty());
}

TEST(Hops, OfAMessageThatWasSentAgainAreThoseOfTheSendingThatArrived) {
  Journey journey = made_journey();
  Leg& there = journey.request;
  std::vector<Hop> lost = way(there.sched.ns, 0);
  lost.resize(4);
  lost.push_back({.what = What::lost,
                  .at = "r",
                  .towards = "s",
                  .why = "queue full",
                  .in_ns = lost.back().out_ns,
                  .out_ns = lost.back().out_ns,
                  .sending = 1});
  there.hops = lost;
  const std::vector<Hop> second = way(there.sched.ns + 1'000'000, 0, 2);
  there.hops.insert(there.hops.end(), second.begin(), second.end());
  there.snd.push_back(Stamp::exactly(second[1].in_ns));
  there.sendings = 2;
  delay(journey, second.back().out_ns - there.rx.ns);
  EXPECT_EQ(sum(hops_of(journey, Step::network_there)),
            spans_of(journey).find(Step::network_there)->ns());
  EXPECT_EQ(hops_of(journey, Step::resend_there).size(), 1U);
  EXPECT_EQ(end_of(there), nullptr);

  Recorder recorder;
  Connection connection;
  const auto shared = std::make_shared<Journey>(journey);
  recorder.finish(connection, shared);
  EXPECT_EQ(shared->verdict,
            "nothing to compare with yet; longest: lost on the link r-s (queue full), and sent "
            "again: 1.00 ms");

  there.hops = lost;
  there.rx = there.recv_in = there.recv_out = {};
  ASSERT_NE(end_of(there), nullptr);
  EXPECT_EQ(judge(journey, spans_of(journey), {}).words,
            "lost on the link r-s (queue full), and never arrived");
}

TEST(Hops, AreNamedByTheVerdictIfTheyTookLongerThanUsual) {
  Recorder recorder;
  Connection connection;
  for (int i = 0; i < 20; ++i) {
    auto usual = std::make_shared<Journey>(simulated(100));
    recorder.finish(connection, usual);
    if (i == 19) {
      EXPECT_EQ(usual->verdict.find("as usual"), 0U);
    }
  }
  auto slow = std::make_shared<Journey>(simulated(6'400'000));
  recorder.finish(connection, slow);
  EXPECT_EQ(slow->verdict, "waited 6.40 ms in the queue of r towards s, usually 0.10 us");
}

TEST(Hops, StandInThePictureUnderTheirStepAndInEveryFile) {
  const Journey journey = simulated(40'000);
  const std::string picture = waterfall(journey);
  EXPECT_NE(picture.find("\n         r > s: queue               40.00 us |"), std::string::npos)
      << picture;
  EXPECT_EQ(picture.find("in r "), std::string::npos) << "it took no time";
  EXPECT_NE(picture.find("a simulated world's own record"), std::string::npos);
  EXPECT_NE(json_line(journey).find(R"({"what":"queue","at":"r","towards":"s","in":)"),
            std::string::npos);
  EXPECT_NE(perfetto_json({&journey, 1}).find(R"("name":"r > s: queue","cat":"hop")"),
            std::string::npos);
  EXPECT_NE(otlp_json({&journey, 1}).find("koine.hop.queue"), std::string::npos);
}

}  // namespace
}  // namespace koine::journey
