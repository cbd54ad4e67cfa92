// A comparison of the whole catalog with the origin that somebody asked for: what it found, how far
// it is, and the state of a run. Plain values; the catalog holds a lock.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cache/chunk_layout.h"
#include "cache/ids.h"
#include "cache/node_table.h"

namespace stokefs::cache {

// What a refresh found. Entries are files, folders, links and all else that has a name.
struct RefreshReport {
  uint64_t added = 0, changed = 0, removed = 0;
  uint64_t errors = 0;  // folders and entries the origin would not tell of: they stay as they were
  std::string error;    // the first one
  LayoutSummary summary;  // of the new state
};

struct RefreshProgress {
  bool is_running = false;  // false: none, or it waits for the first scan or the run before
  uint64_t folders = 0, folders_total = 0;  // compared
};

using RefreshDone = std::function<void(base::Result<RefreshReport>)>;

// One run, for all who asked for it before it began.
struct RefreshRun {
  uint64_t serial = 0;
  std::vector<RefreshDone> waiters;
  size_t cursor = 0, end = 0;  // of the folders in the order they were found: to be compared
  // Folders on which somebody was at work when their turn came: what that one saw may be older
  // than the request, so they are looked at again.
  std::vector<NodeId> again;
  std::deque<NodeId> ready;  // of those: nobody is at work on them any more
  uint64_t compared = 0;
  ChangeTally before;
  uint64_t errors = 0;
  std::string error;
  std::optional<base::Error> failure;
};

}  // namespace stokefs::cache
