// Frame: the bytes of one frame on its way, shared by everybody who has it.
//
// A sender writes it once; links, switches, captures and duplicates only count how many have it.
// Who changes bytes (a router, a link that corrupts) asks for writable(), which copies if others
// have it too.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <utility>
#include <vector>

#include "koine/base/bytes.h"

namespace koine::sim {

class FramePool;

class Frame {
 public:
  Frame() = default;
  Frame(const Frame& other) noexcept : slab_(other.slab_) {
    if (slab_ != nullptr) ++slab_->users;
  }
  Frame(Frame&& other) noexcept : slab_(std::exchange(other.slab_, nullptr)) {}
  Frame& operator=(Frame other) noexcept {
    std::swap(slab_, other.slab_);
    return *this;
  }
  ~Frame() { release(); }

  explicit operator bool() const { return slab_ != nullptr; }

  Bytes bytes() const { return {slab_->memory(), slab_->size}; }
  std::size_t size() const { return slab_->size; }

  /// All the memory there is: for who writes it first.
  MutableBytes room() {
    assert(slab_->users == 1);
    return {slab_->memory(), slab_->capacity};
  }
  void resize(std::size_t size) {
    assert(size <= slab_->capacity);
    slab_->size = static_cast<std::uint32_t>(size);
  }

  /// The bytes, ours alone.
  MutableBytes writable();

  /// What routers say to each other: it goes ahead of the queues, and no program waits for it.
  bool is_control() const { return slab_->control; }
  void set_control(bool on) { slab_->control = on; }

 private:
  friend class FramePool;
  struct Slab {
    FramePool* pool;
    std::uint32_t users;
    std::uint32_t capacity;
    std::uint32_t size;
    bool control;

    std::byte* memory() { return reinterpret_cast<std::byte*>(this + 1); }
  };

  explicit Frame(Slab& slab) : slab_(&slab) {}
  void release();

  Slab* slab_ = nullptr;
};

/// Where the memory of frames comes from and goes back to. It outlives them.
class FramePool {
 public:
  /// What a frame of the usual size gets.
  static constexpr std::size_t usual_bytes = 2048 - sizeof(Frame::Slab);
  /// How many of these wait for their next use at most.
  static constexpr std::size_t kept_max = 4096;

  FramePool() = default;
  FramePool(const FramePool&) = delete;
  FramePool& operator=(const FramePool&) = delete;
  ~FramePool() {
    for (Frame::Slab* slab : kept_) ::operator delete(slab);
  }

  /// A frame of size 0 with room for at least so many bytes.
  Frame make(std::size_t bytes_min) {
    Frame::Slab* slab = nullptr;
    if (bytes_min > usual_bytes) {
      slab = allocate(bytes_min);
    } else if (kept_.empty()) {
      slab = allocate(usual_bytes);
    } else {
      slab = kept_.back();
      kept_.pop_back();
    }
    slab->users = 1;
    slab->size = 0;
    slab->control = false;
    return Frame(*slab);
  }

  Frame copy(Bytes bytes) {
    Frame frame = make(bytes.size());
    std::memcpy(frame.room().data(), bytes.data(), bytes.size());
    frame.resize(bytes.size());
    return frame;
  }

 private:
  friend class Frame;

  Frame::Slab* allocate(std::size_t bytes) {
    void* memory = ::operator new(sizeof(Frame::Slab) + bytes);
    return new (memory) Frame::Slab{this, 0, static_cast<std::uint32_t>(bytes), 0, false};
  }
  void take_back(Frame::Slab* slab) {
    if (slab->capacity == usual_bytes && kept_.size() < kept_max) {
      kept_.push_back(slab);
    } else {
      ::operator delete(slab);
    }
  }

  std::vector<Frame::Slab*> kept_;
};

inline void Frame::release() {
  if (slab_ != nullptr && --slab_->users == 0) slab_->pool->take_back(slab_);
  slab_ = nullptr;
}

inline MutableBytes Frame::writable() {
  if (slab_->users > 1) {
    Frame own = slab_->pool->copy(bytes());
    own.slab_->control = slab_->control;
    std::swap(slab_, own.slab_);
  }
  return {slab_->memory(), slab_->size};
}

}  // namespace koine::sim
