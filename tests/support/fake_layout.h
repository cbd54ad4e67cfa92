// A layout of files that the test made up.
#pragma once

#include <cerrno>
#include <map>

#include "cache/block_layout.h"

namespace stokefs::testing {

// Filled before use, then constant: no lock.
class FakeLayout final : public cache::BlockLayout {
 public:
  base::Result<uint64_t> FileSize(cache::NodeId node) const override {
    if (node == cache::kRootNode) return base::FailErrno(EISDIR, "fake");
    auto const found = size_bytes.find(node);
    if (found == size_bytes.end()) return base::FailErrno(ENOENT, "fake");
    return found->second;
  }

  std::map<cache::NodeId, uint64_t> size_bytes;
};

}  // namespace stokefs::testing
