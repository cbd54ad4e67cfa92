#include "cache/evict.h"

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

#include "cache/path_list.h"
#include "cache/sample_blocks.h"

namespace stokefs::cache {
namespace {

// Blocks that go at a time: the disk tier first writes out what is pending.
constexpr size_t kBatchCount = 16384;

tl::unexpected<base::Error> Cancelled() {
  return base::Fail(std::errc::operation_canceled, "cancelled");
}

class Evictor {
 public:
  Evictor(const EvictParts& parts, EvictReport& report) : parts_(parts), report_(report) {}

  void Add(const CatalogSample& sample) {
    SampleBlocks const blocks{sample.node, sample.size_bytes, parts_.extent_bytes};
    for (uint32_t i = 0; i < blocks.Count(); ++i) keys_.push_back(blocks.Key(i));
    nodes_.push_back(sample.node);
    ++report_.samples;
  }
  bool IsFull() const { return keys_.size() >= kBatchCount; }

  void Flush() {
    if (parts_.disk != nullptr) {
      for (BlockKey const key : keys_) {
        if (auto const place = parts_.disk->Locate(key)) report_.disk_bytes += place->size_bytes;
      }
      report_.disk_blocks += parts_.disk->Evict(keys_);
    }
    for (BlockKey const key : keys_) RemoveFromMemory(key);
    // Errors say that the kernel held nothing of it, or that the mount ends.
    for (NodeId const node : nodes_) (void)parts_.kernel.Drop(node);
    keys_.clear();
    nodes_.clear();
  }

  void RemoveFromMemory(BlockKey key) {
    auto const lease = parts_.memory.Peek(key);
    if (!lease) return;
    parts_.memory.Remove(key);
    ++report_.memory_blocks;
    report_.memory_bytes += lease->bytes().size();
  }

 private:
  const EvictParts& parts_;
  EvictReport& report_;
  std::vector<BlockKey> keys_;
  std::vector<NodeId> nodes_;
};

}  // namespace

base::Result<EvictReport> Evict(const EvictParts& parts, const std::vector<std::string>& paths,
                                const PathFilter& is_kept, base::JobSignal& signal,
                                const std::function<void(const EvictReport&)>& watch) {
  EvictReport report;
  Evictor evictor(parts, report);
  for (std::string const& path : WithoutNested(paths)) {
    auto const visited = parts.catalog.VisitSamples(path, [&](const CatalogSample& sample) {
      if (is_kept(sample.path)) {
        ++report.pinned_samples;
        return true;
      }
      evictor.Add(sample);
      if (!evictor.IsFull()) return true;
      evictor.Flush();
      watch(report);
      return !signal.IsCancelled();
    });
    if (!visited) {
      return base::Fail(visited.error().code, path + ": " + visited.error().message);
    }
    if (signal.IsCancelled()) return Cancelled();
  }
  evictor.Flush();
  return report;
}

base::Result<EvictReport> EvictEverything(const EvictParts& parts, const PathFilter& is_kept,
                                          base::JobSignal& signal,
                                          const std::function<void(const EvictReport&)>& watch) {
  // First what can be named, then what is left.
  auto report = Evict(parts, {""}, is_kept, signal, watch);
  if (!report) return report;
  if (parts.disk != nullptr) {
    uint64_t const before_bytes = parts.disk->Usage().block_bytes;
    report->disk_blocks += parts.disk->EvictAll();
    report->disk_bytes += before_bytes - std::min(before_bytes, parts.disk->Usage().block_bytes);
  }
  Evictor evictor(parts, *report);
  for (std::optional<size_t> from = 0; from;) {
    std::vector<BlockKey> keys;
    from = parts.memory.Keys(*from, kBatchCount, keys);
    for (BlockKey const key : keys) {
      auto const file = parts.catalog.LocateAtOrigin(key.node);
      if (!file || !is_kept(file->path)) evictor.RemoveFromMemory(key);
    }
    if (signal.IsCancelled()) return Cancelled();
  }
  return report;
}

}  // namespace stokefs::cache
