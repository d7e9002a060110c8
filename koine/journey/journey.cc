#include "koine/journey/journey.h"

#include <algorithm>

namespace koine::journey {
namespace {

bool sender_stamped(const Leg& leg) { return leg.sched || !leg.snd.empty() || leg.ack; }

void fill(Stamp& into, const Stamp& from) {
  if (!into) into = from;
}

void fill_sender(Leg& into, const Leg& from) {
  fill(into.write_in, from.write_in);
  fill(into.write_out, from.write_out);
  fill(into.sched, from.sched);
  if (into.snd.empty()) {
    into.snd = from.snd;
    into.sendings = from.sendings;
  }
  fill(into.first_snd, from.first_snd);
  fill(into.ack, from.ack);
  if (into.tcp == TcpState{}) into.tcp = from.tcp;
}

void fill_receiver(Leg& into, const Leg& from) {
  fill(into.rx, from.rx);
  fill(into.recv_in, from.recv_in);
  fill(into.recv_out, from.recv_out);
  if (!into.cpu_wait_ns) into.cpu_wait_ns = from.cpu_wait_ns;
  if (into.hops.empty()) into.hops = from.hops;
}

}  // namespace

const char* to_string(Quality quality) {
  switch (quality) {
    case Quality::missing: return "missing";
    case Quality::exact: return "exact";
    case Quality::at_most: return "at most";
    case Quality::at_least: return "at least";
  }
  return "";
}

const char* to_string(HeldBy held_by) {
  switch (held_by) {
    case HeldBy::unknown: return "unknown";
    case HeldBy::receiver_window: return "receiver's window";
    case HeldBy::congestion_window: return "congestion window";
    case HeldBy::pacing: return "pacing";
    case HeldBy::send_buffer: return "send buffer";
    case HeldBy::nagle: return "Nagle";
  }
  return "";
}

const char* to_string(Hop::What what) {
  switch (what) {
    case Hop::What::queue: return "queue";
    case Hop::What::serialisation: return "serialisation";
    case Hop::What::propagation: return "propagation";
    case Hop::What::processing: return "processing";
    case Hop::What::lost: return "lost";
  }
  return "";
}

const char* to_string(Offset::Method method) {
  switch (method) {
    case Offset::Method::unknown: return "unknown";
    case Offset::Method::same_clock: return "same clock";
    case Offset::Method::bounds: return "bounds";
  }
  return "";
}

const char* to_string(Level level) {
  switch (level) {
    case Level::nothing: return "nothing";
    case Level::programs: return "the programs' stamps only";
    case Level::one_end: return "the kernel's stamps of one end";
    case Level::both_ends: return "the kernel's stamps of both ends";
    case Level::both_with_frames: return "the kernel's stamps of both ends, and the frames";
  }
  return "";
}

Level level_of(const Journey& journey) {
  const bool client = sender_stamped(journey.request) || journey.reply.rx;
  const bool server = sender_stamped(journey.reply) || journey.request.rx;
  if (client && server) return journey.frames.empty() ? Level::both_ends : Level::both_with_frames;
  if (client || server) return Level::one_end;
  return stamps_of(journey) != 0 ? Level::programs : Level::nothing;
}

int stamps_of(const Journey& journey) {
  int count = 0;
  for (const Leg* leg : {&journey.request, &journey.reply}) {
    for (const Stamp& stamp :
         {leg->write_in, leg->write_out, leg->sched, leg->rx, leg->recv_in, leg->recv_out})
      count += stamp ? 1 : 0;
    count += leg->snd.empty() ? 0 : 1;
  }
  return count;
}

Journey join(Journey client, const Journey& server, Offset offset) {
  fill_sender(client.request, server.request);
  fill_receiver(client.request, server.request);
  fill_sender(client.reply, server.reply);
  fill_receiver(client.reply, server.reply);
  fill(client.handler_in, server.handler_in);
  fill(client.handler_out, server.handler_out);
  if (client.request.bytes == 0) client.request.bytes = server.request.bytes;
  if (client.reply.bytes == 0) client.reply.bytes = server.reply.bytes;
  if (client.client.empty()) client.client = server.client;
  if (client.server.empty()) client.server = server.server;
  client.frames.insert(client.frames.end(), server.frames.begin(), server.frames.end());
  client.clock_stepped |= server.clock_stepped;
  client.offset = offset;
  return client;
}

}  // namespace koine::journey
