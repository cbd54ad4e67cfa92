// What the mount did, as one snapshot, rendered for programs: JSON (control file `stats`) and
// Prometheus text (`metrics`). Pure: values in, text out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace stokefs::fs {

struct EpochSnapshot {
  uint64_t index = 0;
  uint64_t samples = 0;
  double progress = 0;  // distinct samples read / samples of the pass
  std::optional<double> hit_ratio;
  std::string plan = "none";
};

struct JobSnapshot {
  std::string name;
  std::string root;  // relative to the mount
  bool active = false;
  std::vector<EpochSnapshot> epochs;
};

struct DiskSnapshot {  // one cache directory
  std::string path;
  uint64_t used_bytes = 0, budget_bytes = 0;  // the budget is that of all directories together
  std::string state;                          // "healthy", "full", "retired"
  std::string reason;                         // of a state that is not healthy
  std::string reader;                         // "io_uring", "threads"
  uint64_t files = 0, blocks = 0;
};

// All cache directories together; blocks: samples, or extents of large files.
struct DiskTierSnapshot {
  uint64_t reads = 0, bytes = 0, errors = 0, damaged = 0, read_p50_us = 0, read_p99_us = 0;
  uint64_t written = 0, written_bytes = 0, skipped = 0, evicted = 0, pinned = 0;
  uint64_t pending_bytes = 0;  // fetched, not yet on disk
  bool loading = false;
};

struct ParkedSnapshot {
  std::string path;  // relative to the mount
  uint32_t reader = 0;
  uint64_t offset = 0;
  uint64_t waited_ms = 0;
};

struct Snapshot {
  struct {
    std::optional<std::string> digest;  // none during the first scan
    uint64_t samples = 0, bytes = 0, chunks = 0;
  } dataset;
  struct {  // first reads of a sample, by the tier that served them; bytes of all reads
    uint64_t samples = 0, bytes = 0, memory = 0, disk = 0, peer = 0, origin = 0;
    uint64_t errors = 0, timeouts = 0, refused = 0, joined = 0;
    uint64_t prefetched = 0, prefetch_errors = 0;  // blocks fetched ahead, for whomever
  } reads;
  struct {  // blocks that were fetched because somebody reads in order
    uint64_t prefetched = 0, used = 0, wasted = 0;
  } read_ahead;
  std::vector<JobSnapshot> jobs;
  struct {  // reads: samples or extents fetched
    uint64_t reads = 0, bytes = 0, errors = 0, stale = 0, read_p50_us = 0, read_p99_us = 0;
  } origin;
  struct {
    uint64_t used_bytes = 0, budget_bytes = 0, payload_bytes = 0, slots = 0, evicted = 0;
  } memory;
  std::vector<DiskSnapshot> disk;
  std::optional<DiskTierSnapshot> disk_tier;  // none: there is no disk tier
  struct {
    uint64_t accepted = 0, rejected = 0;
    uint64_t importances = 0;  // samples that have one
  } hints;
  struct {  // of all READs answered by the daemon with bytes
    uint64_t read_p50 = 0, read_p99 = 0;
  } latency_us;
  struct {
    std::string state;  // "loading", "scanning", "complete"
    bool loaded = false, rescanning = false;
    uint64_t folders = 0, folders_listed = 0, samples = 0, bytes = 0, errors = 0;
  } scan;
  std::vector<ParkedSnapshot> parked;  // the oldest ones
  uint64_t parked_count = 0;
  std::string page_cache;            // "keep", "drop" or "auto"
  bool page_cache_dropping = false;  // what that means at present
  uint64_t page_cache_dropped = 0;   // samples dropped
  uint64_t events_dropped = 0;       // read events that observers did not get
  int pid = 0;
  double uptime_s = 0;
  std::string version;

  // First reads answered from memory / first reads; none before the first.
  std::optional<double> HitRatio() const;
};

std::string ToJson(const Snapshot& snapshot);        // one object, indented, newline at the end
std::string ToPrometheus(const Snapshot& snapshot);  // text exposition format 0.0.4

}  // namespace stokefs::fs
