// A room in which everybody hears what everybody else says. Try it with two or three of
//
//     nc 127.0.0.1 4004
#include <list>
#include <string>

#include "koine/async/channel.h"
#include "koine/koine.h"

/// What a guest has yet to hear. One who does not listen misses lines; nobody waits for them.
constexpr std::size_t lines_waiting_max = 100;

using Lines = koine::Channel<std::string>;

struct Room {
  void tell_all_but(const Lines* speaker, const std::string& line) {
    for (Lines* guest : guests) {
      if (guest != speaker) (void)guest->send(line).attempt_once();
    }
  }
  std::list<Lines*> guests;
};

/// In the room as long as it lives.
struct Seat {
  explicit Seat(Room& its_room) : room(its_room) { room.guests.push_back(&lines); }
  ~Seat() { room.guests.remove(&lines); }

  Room& room;
  Lines lines{lines_waiting_max};
};

koine::Io<void> hear(Lines& lines, koine::Stream& guest) {
  while (const auto line = co_await lines.receive()) co_await attempt(write_all(guest, *line));
  co_return {};
}

koine::Io<void> chat(Room& room, std::unique_ptr<koine::Stream> guest) {
  co_await attempt(write_all(*guest, "Welcome. What is your name?\n"));
  koine::Reader lines(*guest);
  const auto line = co_await attempt(lines.line());
  if (!line) co_return {};
  const std::string name(*line);
  Seat seat(room);
  koine::Scope hearing;
  hearing.spawn(hear(seat.lines, *guest));
  room.tell_all_but(&seat.lines, name + " is here\n");
  while (const auto said = co_await attempt(lines.line()))
    room.tell_all_but(&seat.lines, name + ": " + std::string(*said) + "\n");
  room.tell_all_but(&seat.lines, name + " has left\n");
  co_return {};
}

int main(int count, char** words) {
  Room room;
  return koine::serve(
      count > 1 ? words[1] : "tcp://127.0.0.1:4004",
      [&room](std::unique_ptr<koine::Stream> guest) { return chat(room, std::move(guest)); });
}
