// Who a thread belongs to, as /proc tells it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace stokefs::base {

struct ProcessFacts {
  uint32_t pid = 0;
  uint32_t parent = 0;  // 0: none
  uint32_t session = 0;
  uint64_t started = 0;    // clock ticks since boot: with the pid, one process for all times
  std::string executable;  // empty: not ours to know
};

class Processes {
 public:
  virtual ~Processes() = default;
  // The process of a thread, or of a process by its own id; none when it is gone. Thread-safe.
  virtual std::optional<ProcessFacts> Of(uint32_t thread_id) const = 0;
};

class RealProcesses final : public Processes {
 public:
  std::optional<ProcessFacts> Of(uint32_t thread_id) const override;
};

}  // namespace stokefs::base
