// Which folders are to be compared with the origin next: each at most once a second, one
// comparison of a folder at a time. A plain value; the catalog holds a lock.
#pragma once

#include <cstddef>
#include <map>
#include <optional>

#include "base/clock.h"
#include "cache/ids.h"

namespace stokefs::cache {

class StaleFolders {
 public:
  struct Options {
    base::Duration interval_min = std::chrono::seconds(1);
    // More are forgotten: whoever reads their files finds them stale again.
    size_t count_max = 1024;
  };
  StaleFolders() : StaleFolders(Options{}) {}
  explicit StaleFolders(Options options) : options_(options) {}

  // `folder` is to be compared, as soon as the interval allows.
  void Add(NodeId folder);
  // One that is due; the comparison runs until Done.
  std::optional<NodeId> TakeDue(base::TimePoint now);
  // False when it is running already: then it will be compared once more.
  bool Begin(NodeId folder);
  void Done(NodeId folder, base::TimePoint now);

  bool AnyWanted() const;
  bool IsRunning(NodeId folder) const;
  size_t RunningCount() const { return running_count_; }

 private:
  struct State {
    bool is_wanted = false;
    bool is_running = false;
    std::optional<base::TimePoint> last;  // end of the last comparison
  };

  Options options_;
  std::map<NodeId, State> states_;
  size_t running_count_ = 0;
};

}  // namespace stokefs::cache
