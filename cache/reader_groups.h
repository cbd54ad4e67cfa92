// Which processes belong together: a trainer, its workers and their threads.
//
// From the process of the reading thread up to the parent, while that runs the same executable in
// the same session: workers that were forked and workers that were spawned lead to their trainer,
// the ranks of a launcher to the launcher. Readers without a thread (of another pid namespace) are
// one group, 0. Answers are remembered for a few seconds, because a look costs some 50 µs. Not
// thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/clock.h"
#include "base/processes.h"
#include "cache/ids.h"

namespace stokefs::cache {

struct ReaderGroup {
  uint32_t pid = 0;  // of the topmost process; 0: not known
  uint64_t started = 0;
  std::string name;  // executable and pid

  bool operator==(const ReaderGroup& other) const {
    return pid == other.pid && started == other.started;
  }
};

class ReaderGroups {
 public:
  // Both outlive this.
  ReaderGroups(const base::Processes& processes, const base::Clock& clock)
      : processes_(processes), clock_(clock) {}

  // Null when the reader is gone and was never asked for. Valid until the next call.
  const ReaderGroup* GroupOf(ReaderId reader);
  bool IsAlive(const ReaderGroup& group) const;  // one that is not known always is

 private:
  struct Known {
    std::optional<ReaderGroup> group;
    base::TimePoint when;
  };

  std::optional<ReaderGroup> LookUp(ReaderId reader) const;

  const base::Processes& processes_;
  const base::Clock& clock_;
  std::unordered_map<uint32_t, Known> known_;  // by thread
};

}  // namespace stokefs::cache
