// From what hints call a sample to the sample: by its path, or by its place in ImageFolder's order.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cache/catalog.h"
#include "cache/ids.h"

namespace stokefs::hints {

struct SamplePlace {
  cache::SampleId id;
  cache::NodeId node;
};

// The regular file at `path`. ENOENT, ENOTDIR, EISDIR: it is none; EAGAIN: a folder on the way is
// not listed yet.
base::Result<SamplePlace> FindSample(const cache::Catalog& catalog, std::string_view path);

// The folder on the way to `path` that is not listed yet; kNoNode when there is none.
cache::NodeId UnlistedFolder(const cache::Catalog& catalog, std::string_view path);

// What #INDEX means below one root, as of one state of the catalog: 20 bytes a sample. Immutable.
class IndexOrder {
 public:
  // Of all that is listed below `root`: 2 us a sample, and 100 bytes while it runs. Errors as
  // FindPath.
  static base::Result<IndexOrder> Make(const cache::Catalog& catalog, std::string root);

  const std::string& Root() const { return root_; }
  // The catalog's ChangeCount when it was made; it is to be made again when that has risen.
  uint64_t ChangeCount() const { return change_count_; }
  uint64_t Count() const { return nodes_.size(); }
  SamplePlace At(uint64_t index) const { return {ids_[index], nodes_[index]}; }  // below Count

 private:
  std::string root_;
  uint64_t change_count_ = 0;
  std::vector<cache::SampleId> ids_;
  std::vector<cache::NodeId> nodes_;
};

}  // namespace stokefs::hints
