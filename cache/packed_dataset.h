// A packed dataset that is being used, in whatever edition it has: repacking replaces the manifest,
// and the next look sees that. What the lister and the origin of one mount share.
//
// Owns the folder's descriptor and the index of the newest edition that it saw; an index stays good
// for whoever holds it. Thread-safe. Calls block for as long as the disk pleases; no lock is held
// meanwhile.
#pragma once

#include <memory>

#include "base/file.h"
#include "base/result.h"
#include "base/sync.h"
#include "cache/origin_locator.h"
#include "cache/packed_index.h"

namespace stokefs::cache {

// OUT's manifest, and what tells that it was replaced. ENOENT: not a packed dataset; EBADMSG,
// EPROTONOSUPPORT as ParsePackedManifest.
struct FoundManifest {
  PackedManifest manifest;
  FileVersion version;
};
base::Result<FoundManifest> ReadPackedManifest(int folder);

class PackedDataset {
 public:
  // `folder` is OUT, opened as a folder (O_PATH will do).
  static base::Result<std::unique_ptr<PackedDataset>> Open(base::UniqueFd folder);

  int folder() const { return folder_.Get(); }

  // The newest edition. While a newer one cannot be read, the one before it.
  std::shared_ptr<const PackedIndex> Newest() EXCLUDES(mu_);
  // The same without looking: the last one that Newest gave.
  std::shared_ptr<const PackedIndex> Known() const EXCLUDES(mu_);

 private:
  PackedDataset(base::UniqueFd folder, const FileVersion& seen,
                std::shared_ptr<const PackedIndex> index)
      : folder_(std::move(folder)), seen_(seen), index_(std::move(index)) {}

  const base::UniqueFd folder_;
  mutable base::Mutex mu_;
  FileVersion seen_ GUARDED_BY(mu_);  // the manifest that index_ is of
  std::shared_ptr<const PackedIndex> index_ GUARDED_BY(mu_);
};

}  // namespace stokefs::cache
