#include "hints/residency.h"

#include <algorithm>
#include <vector>

#include "cache/sample_blocks.h"
#include "hints/path_escape.h"

namespace stokefs::hints {
namespace {

// Looked at under one hold of the memory tier's lock: about 10 µs.
constexpr size_t kSlotsAtATime = 1024;

// All blocks in memory, those of one node together. One that moves meanwhile may be met twice.
std::vector<cache::BlockKey> BlocksInMemory(const cache::MemoryTier& memory) {
  std::vector<cache::BlockKey> keys;
  for (std::optional<size_t> next = 0; next;) next = memory.Keys(*next, kSlotsAtATime, keys);
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  return keys;
}

}  // namespace

std::string ListResidency(const cache::Catalog& catalog, const cache::MemoryTier& memory,
                          uint64_t extent_bytes) {
  std::vector<cache::BlockKey> const keys = BlocksInMemory(memory);
  std::vector<std::string> paths;
  for (size_t begin = 0, end = 0; begin < keys.size(); begin = end) {
    cache::NodeId const node = keys[begin].node;
    while (end < keys.size() && keys[end].node == node) ++end;
    auto const size = catalog.FileSize(node);
    auto file = catalog.LocateAtOrigin(node);
    if (!size || !file) continue;
    if (end - begin < cache::SampleBlocks{node, *size, extent_bytes}.Count()) continue;
    auto const present = catalog.FindPath(file->path);  // another node once the file has changed
    if (present && *present == node) paths.push_back(std::move(file->path));
  }
  std::sort(paths.begin(), paths.end());
  std::string text;
  for (const std::string& path : paths) text += EscapePath(path) + "\n";
  return text;
}

}  // namespace stokefs::hints
