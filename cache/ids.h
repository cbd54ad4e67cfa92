// What things are called: samples, chunks, nodes, blocks, readers. Plain values, all copyable.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>

namespace stokefs::cache {

// A sample's name for all nodes and all times: the 128-bit XXH3 of its path below SOURCE (bytes,
// '/' between components, none at the ends). Adding a file renumbers nothing.
struct SampleId {
  uint64_t high = 0;
  uint64_t low = 0;

  // clang-tidy 14 takes the 0 of a rewritten "<" for a pointer.
  // NOLINTNEXTLINE(modernize-use-nullptr)
  auto operator<=>(const SampleId&) const = default;
};

SampleId MakeSampleId(std::string_view path);

// A chunk is the bucket of all SampleIds whose first `bit_count` bits are those of `prefix`; the
// other bits of `prefix` are 0. Split by one more bit when it grows too large.
struct ChunkId {
  uint64_t prefix = 0;
  uint8_t bit_count = 0;

  auto operator<=>(const ChunkId&) const = default;
};

// One version of one name in this mount, as the kernel knows it: a FUSE node id. A file whose
// content changed gets a new one; none is ever used again in the life of a mount. The root is 1.
struct NodeId {
  uint32_t value = 0;  // 0: none

  // NOLINTNEXTLINE(modernize-use-nullptr): as above
  auto operator<=>(const NodeId&) const = default;
};

inline constexpr NodeId kNoNode{0};
inline constexpr NodeId kRootNode{1};

// The unit of memory and of fetching: a small file whole (index 0), or one extent of a file larger
// than `extent_bytes`: bytes [index * extent_bytes, (index + 1) * extent_bytes).
struct BlockKey {
  NodeId node;
  uint32_t index = 0;

  // NOLINTNEXTLINE(modernize-use-nullptr): as above
  auto operator<=>(const BlockKey&) const = default;
};

struct BlockKeyHash {
  size_t operator()(const BlockKey& key) const {
    uint64_t x = (uint64_t{key.node.value} << 32 | key.index) * 0x9E3779B97F4A7C15u;
    return static_cast<size_t>(x ^ (x >> 32));  // the low bits of index 0 are 0 without
  }
};

// Who reads: the thread that asked the kernel, as FUSE tells it (0: a thread of another pid
// namespace, or the kernel's own read-ahead on nobody's behalf).
struct ReaderId {
  uint32_t thread_id = 0;

  auto operator<=>(const ReaderId&) const = default;
};

// Where bytes come from, fastest first.
enum class Tier : uint8_t { kGpu, kMemory, kDisk, kPeer, kOrigin };
inline constexpr size_t kTierCount = 5;

}  // namespace stokefs::cache
