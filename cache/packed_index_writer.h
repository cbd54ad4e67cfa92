// Writes the index of a packed dataset (packed_index.h has its grammar). Not thread-safe.
#pragma once

#include <xxhash.h>

#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "cache/folder_listing.h"
#include "cache/packed_manifest.h"
#include "cache/packed_table.h"

namespace stokefs::cache {

class PackedIndexWriter {
 public:
  // Makes `<path>.new` (in place of an older one), which Finish renames to what it is to be called.
  static base::Result<std::unique_ptr<PackedIndexWriter>> Create(std::string folder);
  ~PackedIndexWriter();

  // `listing` is sorted, its links as they are to be shown.
  base::Status AddFolder(const std::string& path, const FolderListing& listing);

  // Rows in any order. Fills in digest, index_bytes and tables of `manifest`; syncs and renames.
  base::Status Finish(std::vector<PackedRow> buckets, std::vector<PackedRow> runs,
                      PackedManifest& manifest);

 private:
  PackedIndexWriter(std::string folder, base::UniqueFd fd);
  base::Status Append(std::string_view bytes);
  base::Status AppendTable(std::vector<PackedRow> rows, PackedTablePlace& place);
  base::Status Flush();
  std::string NewPath() const { return folder_ + "/index.new"; }

  const std::string folder_;
  const base::UniqueFd fd_;
  const std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> digest_;
  std::string unwritten_;
  uint64_t bytes_ = 0;  // all, with what is unwritten
  std::vector<PackedRow> folders_;
  bool is_finished_ = false;
};

}  // namespace stokefs::cache
