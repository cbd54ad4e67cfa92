// The end of every READ: counted, told to the observers, answered. Thread-safe; call it unlocked.
#pragma once

#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "cache/read_event.h"
#include "cache/read_parts.h"
#include "cache/read_path.h"

namespace stokefs::cache {

// A read that left the tables.
struct ReadAnswer {
  PendingRead read;
  std::optional<base::Error> error;  // none: with its bytes
};

class ReadAnswers {
 public:
  ReadAnswers(std::vector<ReadEventQueue*> observers, const base::Clock& clock);

  void Answer(ReadAnswer answer);
  void Fail(const ReadDone& done, base::Error error);
  // For who calls `done` itself; before that, so that statistics asked for after a read contain it.
  void Count(const ReadEvent& event, base::Duration latency);

  ReadStatistics& statistics() { return statistics_; }
  const ReadStatistics& statistics() const { return statistics_; }

 private:
  const std::vector<ReadEventQueue*> observers_;
  const base::Clock& clock_;
  ReadStatistics statistics_;  // counters are atomic
};

}  // namespace stokefs::cache
