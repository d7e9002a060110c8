// A doubly linked list of objects that carry their own links: joining and leaving never allocate.
//
// A node leaves its list when it dies, so no list ever points at the dead. A node is in one list at
// a time; joining another takes it out of the first.
//
//     list -> first <-> second <-> last -> list     and first -> last
//
// A list is one word, because everything that can be waited for has some: the last node points back
// to it, marked, and the first one to the last.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>

namespace koine {

class ListNode;

namespace detail {

struct ListHead {
  ListNode* first = nullptr;
};

}  // namespace detail

/// The links. Derive from it (once) and the object can join a List.
class ListNode {
 public:
  ListNode() = default;
  /// What has not joined a list yet may still move; the new one starts outside.
  ListNode([[maybe_unused]] ListNode&& other) noexcept { assert(!other.listed()); }
  ListNode& operator=(const ListNode&) = delete;
  ~ListNode() { leave(); }

  bool listed() const { return previous_ != nullptr; }

  void leave() {
    if (listed()) unlink();
  }

 private:
  template <class T, class Node>
  friend class List;

  // Out of line: what has joined nothing, as most that dies, shall not carry it along.
  [[gnu::noinline]] void unlink() {
    if (is_last()) {
      if (previous_ == this) {
        head()->first = nullptr;
      } else {
        head()->first->previous_ = previous_;
        previous_->next_ = next_;
      }
    } else {
      next()->previous_ = previous_;
      if (previous_->is_last()) {  // this is the first
        previous_->head()->first = next();
      } else {
        previous_->next_ = next_;
      }
    }
    next_ = 0;
    previous_ = nullptr;
  }

  static std::uintptr_t mark(const detail::ListHead& head) {
    return reinterpret_cast<std::uintptr_t>(&head) | 1;
  }
  bool is_last() const { return (next_ & 1) != 0; }
  ListNode* next() const { return reinterpret_cast<ListNode*>(next_); }
  detail::ListHead* head() const { return reinterpret_cast<detail::ListHead*>(next_ - 1); }
  void set_next(ListNode& node) { next_ = reinterpret_cast<std::uintptr_t>(&node); }

  std::uintptr_t next_ =
      0;  // a ListNode, or, in the last one, the ListHead with the lowest bit set
  ListNode* previous_ = nullptr;
};

template <class T, class Node = ListNode>
class List {
 public:
  List() = default;
  List(const List&) = delete;
  List& operator=(const List&) = delete;
  ~List() { clear(); }

  bool empty() const { return head_.first == nullptr; }

  /// Puts `node` last. Asks nothing of T, so T may be incomplete.
  void push_back(Node& joining) {
    ListNode& node = joining;
    node.leave();
    node.next_ = ListNode::mark(head_);
    if (head_.first == nullptr) {
      head_.first = node.previous_ = &node;
      return;
    }
    ListNode& last = *head_.first->previous_;
    node.previous_ = &last;
    last.set_next(node);
    head_.first->previous_ = &node;
  }

  /// The list must not be empty.
  T& front() {
    assert(!empty());
    return of(*head_.first);
  }

  /// Takes the first one out; the list must not be empty.
  T& pop_front() {
    assert(!empty());
    ListNode& first = *head_.first;
    if (first.is_last()) {
      head_.first = nullptr;
    } else {
      head_.first = first.next();
      head_.first->previous_ = first.previous_;
    }
    first.next_ = 0;
    first.previous_ = nullptr;
    return of(first);
  }

  /// Takes over all nodes of `other`, in order, behind our own.
  void splice(List& other) {
    if (other.empty()) return;
    ListNode* first = other.head_.first;
    ListNode* last = first->previous_;
    other.head_.first = nullptr;
    last->next_ = ListNode::mark(head_);
    if (head_.first == nullptr) {
      head_.first = first;
      return;
    }
    ListNode* ours = head_.first->previous_;
    ours->set_next(*first);
    first->previous_ = ours;
    head_.first->previous_ = last;
  }

  /// Takes all nodes out; they are not destroyed.
  void clear() {
    while (!empty()) head_.first->leave();
  }

  /// Calls `visit` for each node in order; it may not change the list.
  template <class Visit>
  void for_each(Visit&& visit) const {
    for_each_while([&](T& node) {
      visit(node);
      return true;
    });
  }

  /// The same until `visit` answers false; true if it never did.
  template <class Visit>
  bool for_each_while(Visit&& visit) const {
    for (ListNode* node = head_.first; node != nullptr;) {
      if (!visit(of(*node))) return false;
      node = node->is_last() ? nullptr : node->next();
    }
    return true;
  }

 private:
  static T& of(ListNode& node) { return static_cast<T&>(static_cast<Node&>(node)); }

  detail::ListHead head_;
};

}  // namespace koine
