// Journal lines of one kind, of which there may be a million: the first hundred, then a count.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/journal.h"

namespace stokefs::cache {

// Thread-safe.
class CappedLines {
 public:
  CappedLines(base::Journal& journal, std::string kind)
      : journal_(journal), kind_(std::move(kind)) {}

  void Add(std::string_view message) {
    uint64_t const index = count_.fetch_add(1, std::memory_order_relaxed);
    if (index < kLineCountMax) journal_.Warning(kind_ + ": " + std::string(message));
    if (index == kLineCountMax) journal_.Warning(kind_ + ": more of these are only counted");
  }
  uint64_t Count() const { return count_.load(std::memory_order_relaxed); }

 private:
  static constexpr uint64_t kLineCountMax = 100;  // a tenth of what the journal keeps

  base::Journal& journal_;
  const std::string kind_;
  std::atomic<uint64_t> count_{0};  // atomic: counts only
};

}  // namespace stokefs::cache
