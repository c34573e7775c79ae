// Handles: the objects that callers hold, by number.
//
// Invariant: a number is issued once in the life of the process, over all kinds of
// objects, so a freed handle never comes to mean something else and one of another kind
// is not found. A handle has the type of a pointer, for the caller's compiler to tell
// kinds apart, and is never dereferenced.
// An object lives until its handle is freed and the last call on it has returned.
// Threads: any. A look-up takes a shared lock; work is done outside it.
// Throws HandleError.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <utility>

#include "status.hpp"

namespace minnorm::c {

// Multiples of 16 above 2^16: aligned like a pointer, and clear of the first page, whose
// addresses some garbage collectors refuse to see in a pointer.
inline constexpr std::uintptr_t first_handle = 0x10000, handle_step = 16;
inline std::atomic<std::uintptr_t> next_handle{first_handle};

template <class Object, class Opaque>
class Handles {
 public:
  explicit Handles(const char* kind) : kind_(kind) {}

  Opaque* issue(std::shared_ptr<Object> object) {
    const std::uintptr_t number = next_handle.fetch_add(handle_step);
    const std::unique_lock lock(mutex_);
    objects_.emplace(number, std::move(object));
    return reinterpret_cast<Opaque*>(number);
  }

  std::shared_ptr<Object> find(const Opaque* handle) const {
    const std::shared_lock lock(mutex_);
    const auto found = objects_.find(reinterpret_cast<std::uintptr_t>(handle));
    if (found == objects_.end()) throw unknown(handle);
    return found->second;
  }

  void release(const Opaque* handle) {
    std::shared_ptr<Object> last;  // destroyed after the lock is
    const std::unique_lock lock(mutex_);
    const auto found = objects_.find(reinterpret_cast<std::uintptr_t>(handle));
    if (found == objects_.end()) throw unknown(handle);
    last = std::move(found->second);
    objects_.erase(found);
  }

 private:
  HandleError unknown(const Opaque* handle) const {
    const auto number = reinterpret_cast<std::uintptr_t>(handle);
    const char* came = "a pointer that this library never issued";
    if (number == 0)
      came = "NULL";
    else if (number >= first_handle && number < next_handle && number % handle_step == 0)
      came = "one that was freed or is of another kind";
    return HandleError(kind_ + ": expected a handle in use, got " + came);
  }

  std::string kind_;
  mutable std::shared_mutex mutex_;
  std::unordered_map<std::uintptr_t, std::shared_ptr<Object>> objects_;
};

}  // namespace minnorm::c
