// A doubly linked list of objects that carry their own links: joining and leaving never allocate.
//
// A node leaves its list when it dies, so no list ever points at the dead. A node is in one list at
// a time; joining another takes it out of the first.
#pragma once

#include <cassert>
#include <cstddef>

namespace koine {

/// The links. Derive from it (once) and the object can join a List.
class ListNode {
 public:
  ListNode() = default;
  /// What has not joined a list yet may still move; the new one starts outside.
  ListNode(ListNode&& other) noexcept { assert(!other.listed()); }
  ListNode& operator=(const ListNode&) = delete;
  ~ListNode() { leave(); }

  bool listed() const { return next_ != nullptr; }

  void leave() {
    if (next_ == nullptr) return;
    previous_->next_ = next_;
    next_->previous_ = previous_;
    next_ = previous_ = nullptr;
  }

 private:
  template <class T, class Node>
  friend class List;

  ListNode* next_ = nullptr;
  ListNode* previous_ = nullptr;
};

template <class T, class Node = ListNode>
class List {
 public:
  List() { end_.next_ = end_.previous_ = &end_; }
  List(const List&) = delete;
  List& operator=(const List&) = delete;
  ~List() {
    clear();
    end_.next_ = end_.previous_ = nullptr;
  }

  bool empty() const { return end_.next_ == &end_; }

  /// Puts `node` last. Asks nothing of T, so T may be incomplete.
  void push_back(Node& joining) {
    ListNode& node = joining;
    node.leave();
    node.previous_ = end_.previous_;
    node.next_ = &end_;
    end_.previous_->next_ = &node;
    end_.previous_ = &node;
  }

  /// The list must not be empty.
  T& front() {
    assert(!empty());
    return of(*end_.next_);
  }

  /// Takes the first one out; the list must not be empty.
  T& pop_front() {
    T& first = front();
    static_cast<Node&>(first).leave();
    return first;
  }

  /// Takes over all nodes of `other`, in order, behind our own.
  void splice(List& other) {
    if (other.empty()) return;
    ListNode* first = other.end_.next_;
    ListNode* last = other.end_.previous_;
    other.end_.next_ = other.end_.previous_ = &other.end_;
    first->previous_ = end_.previous_;
    end_.previous_->next_ = first;
    last->next_ = &end_;
    end_.previous_ = last;
  }

  /// Takes all nodes out; they are not destroyed.
  void clear() {
    while (!empty()) end_.next_->leave();
  }

  /// Calls `visit` for each node in order; it may not change the list.
  template <class Visit>
  void for_each(Visit&& visit) const {
    for (ListNode* node = end_.next_; node != &end_; node = node->next_) visit(of(*node));
  }

  /// The same until `visit` answers false; true if it never did.
  template <class Visit>
  bool for_each_while(Visit&& visit) const {
    for (ListNode* node = end_.next_; node != &end_; node = node->next_) {
      if (!visit(of(*node))) return false;
    }
    return true;
  }

 private:
  static T& of(ListNode& node) { return static_cast<T&>(static_cast<Node&>(node)); }

  ListNode end_;
};

}  // namespace koine
