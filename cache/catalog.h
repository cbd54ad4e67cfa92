// The catalog: every name of the dataset, what it is, and how samples are laid out in chunks.
//
// A folder is *listed* when its entries are known. Folders become listed by the load of a kept
// catalog, by the scan, or on demand (EnsureListed); once listed, metadata is answered from memory.
// A later scan compares and updates: changed and new names get new nodes, and a ChangeListener
// hears what the kernel must forget. Nodes live as long as the catalog; NodeIds are dense from 1.
// Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/file.h"
#include "base/journal.h"
#include "base/result.h"
#include "cache/block_layout.h"
#include "cache/chunk_layout.h"
#include "cache/file_attributes.h"
#include "cache/folder_lister.h"
#include "cache/ids.h"
#include "cache/origin_locator.h"
#include "cache/refresh.h"
#include "cache/sample_order.h"

namespace stokefs::cache {

struct CatalogEntry {
  std::string_view name;  // valid during the visit only
  FileAttributes attributes;
};

class ChangeListener {
 public:
  virtual ~ChangeListener() = default;
  // A name now means something else (or nothing, or is new). Called on a background thread, no lock
  // held, after look-ups answer the new state.
  virtual void OnNameChanged(NodeId folder, std::string_view name) = 0;
  // The listing of `folder` changed, or its own attributes.
  virtual void OnFolderChanged(NodeId folder) = 0;
};

enum class CatalogState : uint8_t { kLoading, kScanning, kComplete };

struct CatalogProgress {
  CatalogState state = CatalogState::kLoading;
  bool loaded = false;      // started from a kept catalog
  bool rescanning = false;  // complete, comparing with the origin in the background
  uint64_t folder_count = 0, folders_listed = 0;
  uint64_t sample_count = 0;  // regular files
  uint64_t sample_bytes = 0;
  uint64_t scan_errors = 0;  // folders or entries the origin would not tell of
};

struct CatalogSample {
  NodeId node;
  std::string_view path;  // below SOURCE; valid during the visit only
  uint64_t size_bytes = 0;
};

class Catalog final : public BlockLayout, public OriginLocator, public SampleOrder {
 public:
  struct Options {
    std::string folder;  // where it is kept (created); empty: not kept
    // Absolute names of SOURCE, for links into it; its canonical one in front.
    std::vector<std::string> source_paths;
    // What a kept catalog must be of to be used; empty: the first of source_paths.
    std::string identity = {};
    uint64_t extent_bytes = 1u << 20;  // larger files are laid out in extents, outside chunks
    ChunkLayoutOptions layout;
    size_t scan_threads = 8;
    base::Duration listing_deadline = std::chrono::seconds(30);
    bool rescan = true;  // compare with the origin after a load, at idle priority
  };

  // Forks a child that verifies and reads a kept catalog, because a damaged mapped database can
  // fault: call it before the process has other threads. `lister` lists SOURCE.
  // Only fails when SOURCE cannot be stat'ed; a kept catalog that is damaged is put aside and
  // rebuilt, with a line in `journal`.
  static base::Result<std::unique_ptr<Catalog>> Open(Options options,
                                                     std::unique_ptr<FolderLister> lister,
                                                     base::Journal& journal,
                                                     const base::Clock& clock);
  ~Catalog() override;

  // Starts the threads: load, else scan. `listener` may be null; outlives the catalog's Stop.
  void Start(ChangeListener* listener);
  // Ends the threads; false when one is stuck in the origin (then the process must `_exit`).
  // Requests waiting in EnsureListed are answered EIO.
  bool Stop(std::chrono::milliseconds limit);

  // Calls `done` when `folder` is listed: at once (true: it was called), or later on another
  // thread, or with an error (ENOENT, ENOTDIR, ETIMEDOUT, EIO, the origin's). Later calls
  // try again after an error. `done` must not block.
  bool EnsureListed(NodeId folder, std::function<void(base::Status)> done);

  // The following need the folder to be listed, and answer from memory.
  // ENOENT; EAGAIN when `folder` is not listed; ENOTDIR.
  base::Result<FileAttributes> Lookup(NodeId folder, std::string_view name) const;
  // Visits entries sorted by name (bytes), after the entry `after` (kNoNode: from the start), until
  // `visit` returns false. `after` may have left the folder meanwhile.
  base::Status List(NodeId folder, NodeId after,
                    const std::function<bool(const CatalogEntry&)>& visit) const;

  base::Result<FileAttributes> Attributes(NodeId node) const;
  base::Result<NodeId> Parent(NodeId node) const;  // the root's is the root
  // The link's text as shown: absolute targets inside SOURCE are rewritten relative to the link.
  base::Result<std::string> LinkTarget(NodeId node) const;
  base::Result<uint64_t> FileSize(NodeId node) const override;
  base::Result<OriginFile> LocateAtOrigin(NodeId node) const override;
  std::vector<OrderedSample> SamplesAfter(NodeId node, size_t count_max) const override;
  // The folder of `node` is compared with the origin soon, in the background.
  void OnStale(NodeId node) override;

  // Compares every folder with the origin and takes over what differs; then calls `done`, once, on
  // the keeper's thread, when new folders are scanned too and the kernel was told. What changed
  // before the call is seen: a refresh that comes while one runs waits for the next run, together
  // with all others that come by then. Waits for the first scan. Errors, after which nothing is
  // forgotten: the root's own; ETIMEDOUT when the origin says nothing for `listing_deadline`;
  // ECANCELED at the end. `done` must not block.
  void Refresh(RefreshDone done);
  RefreshProgress Refreshing() const;

  // The node that `path` (as shown, below SOURCE) means now. ENOENT; ENOTDIR; EAGAIN when a folder
  // on the way is not listed yet.
  base::Result<NodeId> FindPath(std::string_view path) const;
  // Visits every sample at or below `path`, folder by folder, until `visit` returns false. Folders
  // that are not listed are left out. No lock is held while it visits: what changes meanwhile may
  // be seen or not. Errors as FindPath.
  base::Status VisitSamples(std::string_view path,
                            const std::function<bool(const CatalogSample&)>& visit) const;

  // Compares the catalog on disk with its checksums, in a child process. One that is damaged is put
  // aside and written anew soon. Blocks; not two at a time.
  enum class KeptState : uint8_t { kNone, kSound, kDamaged };
  struct KeptReport {
    KeptState state = KeptState::kNone;
    std::string damage;  // what is wrong with it
  };
  base::Result<KeptReport> VerifyKept();

  CatalogProgress Progress() const;
  // Rises with everything that changes.
  uint64_t ChangeCount() const;
  // Digest, counts and chunks of the present version; none before the first scan or load is whole.
  std::optional<LayoutSummary> Summary() const;

 private:
  class Impl;
  explicit Catalog(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace stokefs::cache
