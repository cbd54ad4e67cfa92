// The dataset mount: the kernel's questions about names and bytes, answered from the catalog and
// the read path. Fast and read-only: what the kernel may keep it keeps for ever (endless timeouts,
// no-open, cached listings), so a warm read sends no message here.
//
// A thin adapter. No FUSE thread waits: what the catalog or the read path cannot answer at once is
// parked there and replied to from their threads.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/journal.h"
#include "base/result.h"
#include "base/sync.h"
#include "cache/catalog.h"
#include "cache/read_path.h"
#include "fs/fuse_session.h"
#include "fs/reads_in_flight.h"

namespace stokefs::fs {

class DatasetMount {
 public:
  struct Options {
    std::string mount_point;
    std::string source_name;           // shown as the mount's source
    std::string control_link;          // target of the symbolic link MNT/.stokefs
    std::vector<std::string> options;  // further mount options
    size_t threads = 2;                // serving threads
  };

  // The kernel holds at most this many unanswered background requests (READs for the page cache are
  // such); the read path parks fewer, so that others still get through.
  static constexpr unsigned kBackgroundCountMax = 1024;

  // Mounts; all that is referred to outlives the mount. Nothing is answered before Start.
  static base::Result<std::unique_ptr<DatasetMount>> Mount(Options options, cache::Catalog& catalog,
                                                           cache::ReadPath& read_path,
                                                           ReadsInFlight& reads_in_flight);
  ~DatasetMount();

  void Start(std::function<void()> on_end) { session_->Start(std::move(on_end)); }
  void Stop() { session_->Stop(); }

  // Gives up the reads whose readers are being killed. To be called every few milliseconds.
  void Tick() EXCLUDES(interrupted_mu_);

  FuseSession& session() { return *session_; }

 private:
  friend class DatasetOperations;
  // The kernel tells of an interrupt once, for any signal; whether it kills may show later.
  struct InterruptedRead {
    cache::ReadTicket ticket;
    uint32_t thread_id = 0;
  };

  DatasetMount(Options options, cache::Catalog& catalog, cache::ReadPath& read_path,
               ReadsInFlight& reads_in_flight);

  const Options options_;
  cache::Catalog& catalog_;
  cache::ReadPath& read_path_;
  ReadsInFlight& reads_in_flight_;
  std::unique_ptr<FuseSession> session_;
  base::Mutex interrupted_mu_;  // a leaf: libfuse's own locks may be held around it
  std::vector<InterruptedRead> interrupted_ GUARDED_BY(interrupted_mu_);
};

}  // namespace stokefs::fs
