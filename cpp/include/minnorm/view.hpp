// View: entries that lie somewhere else, in a row, to be read: a vector's, an
// initialiser list's, a caller's array or a piece of a workspace.
//
// Invariant: data() .. data() + size() stays readable for as long as the view is used;
// as a parameter it may be bound to a temporary, kept it may not.
// Copies are shallow. Throws nothing.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <vector>

namespace minnorm {

template <class T>
class View {
 public:
  View() = default;
  View(const T* data, std::size_t size) : data_(data), size_(size) {}
  View(const std::vector<T>& values) : View(values.data(), values.size()) {}
  View(std::initializer_list<T> values) : View(values.begin(), values.size()) {}

  const T* data() const { return data_; }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }
  const T& front() const { return data_[0]; }
  const T& operator[](std::size_t i) const { return data_[i]; }
  std::vector<T> copy() const { return {begin(), end()}; }

 private:
  const T* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace minnorm
