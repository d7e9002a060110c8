// ns-3 doing what bench/sim.cc does: one TCP stream from a host through a router to another.
//
//     bulk MBIT LOSS-PERCENT MEGABYTES
//
// 5 ms of delay on each of two links, queues of 2 000 packets, buffers of 16 MB, segments of 1 448
// bytes, a first window of ten, CUBIC and SACK, and checksums computed and verified. Its payload is
// dummy, as its BulkSendApplication has it: bytes that do not exist are neither copied nor
// compared. What was lost is lost behind the router, in the direction of the data.
#include <ns3/applications-module.h>
#include <ns3/core-module.h>
#include <ns3/internet-module.h>
#include <ns3/network-module.h>
#include <ns3/point-to-point-module.h>

#include <cstdio>
#include <cstdlib>
#include <string>

int main(int count, char** words) {
  using namespace ns3;
  if (count != 4) {
    std::fprintf(stderr, "usage: bulk MBIT LOSS-PERCENT MEGABYTES\n");
    return 2;
  }
  const std::string rate = std::string(words[1]) + "Mbps";
  const double loss = std::strtod(words[2], nullptr) / 100;
  const std::uint64_t bytes = std::strtoull(words[3], nullptr, 10) * 1'000'000;

  GlobalValue::Bind("ChecksumEnabled", BooleanValue(true));
  Config::SetDefault("ns3::TcpSocket::SegmentSize", UintegerValue(1448));
  Config::SetDefault("ns3::TcpSocket::InitialCwnd", UintegerValue(10));
  Config::SetDefault("ns3::TcpSocket::SndBufSize", UintegerValue(16 << 20));
  Config::SetDefault("ns3::TcpSocket::RcvBufSize", UintegerValue(16 << 20));
  Config::SetDefault("ns3::TcpL4Protocol::SocketType", TypeIdValue(TcpCubic::GetTypeId()));

  NodeContainer nodes;
  nodes.Create(3);
  PointToPointHelper link;
  link.SetDeviceAttribute("DataRate", StringValue(rate));
  link.SetChannelAttribute("Delay", StringValue("5ms"));
  link.SetQueue("ns3::DropTailQueue", "MaxSize", StringValue("2000p"));
  const NetDeviceContainer first = link.Install(nodes.Get(0), nodes.Get(1));
  const NetDeviceContainer second = link.Install(nodes.Get(1), nodes.Get(2));
  if (loss > 0) {
    auto errors = CreateObject<RateErrorModel>();
    errors->SetUnit(RateErrorModel::ERROR_UNIT_PACKET);
    errors->SetRate(loss);
    second.Get(1)->SetAttribute("ReceiveErrorModel", PointerValue(errors));
  }
  InternetStackHelper().Install(nodes);
  Ipv4AddressHelper addresses;
  addresses.SetBase("10.0.0.0", "255.255.255.0");
  addresses.Assign(first);
  addresses.SetBase("10.0.1.0", "255.255.255.0");
  const Ipv4InterfaceContainer at = addresses.Assign(second);
  Ipv4GlobalRoutingHelper::PopulateRoutingTables();

  BulkSendHelper source("ns3::TcpSocketFactory", InetSocketAddress(at.GetAddress(1), 5001));
  source.SetAttribute("MaxBytes", UintegerValue(bytes));
  source.SetAttribute("SendSize", UintegerValue(1448));
  source.Install(nodes.Get(0));
  PacketSinkHelper sink("ns3::TcpSocketFactory", InetSocketAddress(Ipv4Address::GetAny(), 5001));
  const auto heard = DynamicCast<PacketSink>(sink.Install(nodes.Get(2)).Get(0));
  Time ended;
  heard->TraceConnectWithoutContext(
      "Rx", Callback<void, Ptr<const Packet>, const Address&>(
                [&ended](Ptr<const Packet>, const Address&) { ended = Simulator::Now(); }));
  Simulator::Run();
  const bool is_whole = heard->GetTotalRx() == bytes;
  const double seconds = ended.GetSeconds();
  std::printf("%s %.2f s of its time, %.1f Mbit/s\n", is_whole ? "arrived:" : "FAILED:", seconds,
              static_cast<double>(heard->GetTotalRx()) * 8 / 1e6 / seconds);
  Simulator::Destroy();
  return is_whole ? 0 : 1;
}
