#include "cache/locate.h"

#include <array>
#include <bit>
#include <cerrno>

#include "cache/sample_blocks.h"

namespace stokefs::cache {
namespace {

constexpr size_t kBitCountMax = 64;

}  // namespace

ChunkId ChunkOf(SampleId id, const LocateOptions& options, const Catalog& catalog) {
  // Of the samples that share exactly so many first bits with `id`.
  std::array<uint64_t, kBitCountMax + 1> counts{}, bytes{};
  auto const visited = catalog.VisitSamples("", [&](const CatalogSample& sample) {
    if (sample.size_bytes > options.extent_bytes) return true;
    uint64_t const difference = MakeSampleId(sample.path).high ^ id.high;
    auto const shared = static_cast<size_t>(std::countl_zero(difference));
    ++counts[shared];
    bytes[shared] += sample.size_bytes;
    return true;
  });
  if (!visited) return {};
  // From the narrowest bucket up, as long as it fits.
  size_t bit_count = kBitCountMax;
  uint64_t count = counts[bit_count], byte_count = bytes[bit_count];
  while (bit_count > 0) {
    count += counts[bit_count - 1];
    byte_count += bytes[bit_count - 1];
    bool const fits =
        byte_count <= options.layout.chunk_bytes && count <= options.layout.chunk_samples;
    if (!fits && count > 1) break;
    --bit_count;
  }
  uint64_t const mask = bit_count == 0 ? 0 : ~uint64_t{0} << (kBitCountMax - bit_count);
  return {.prefix = id.high & mask, .bit_count = static_cast<uint8_t>(bit_count)};
}

base::Result<LocatedSample> Locate(const std::string& path, const LocateOptions& options,
                                   const Catalog& catalog, MemoryTier& memory,
                                   const SteeredDisk* disk) {
  auto const node = catalog.FindPath(path);
  if (!node) return base::Fail(node.error().code, path + ": " + node.error().message);
  auto const size = catalog.FileSize(*node);
  if (!size) return base::Fail(size.error().code, path + ": " + size.error().message);
  LocatedSample located{.path = path, .id = MakeSampleId(path), .size_bytes = *size};
  if (*size <= options.extent_bytes) located.chunk = ChunkOf(located.id, options, catalog);
  SampleBlocks const blocks{*node, *size, options.extent_bytes};
  for (uint32_t i = 0; i < blocks.Count(); ++i) {
    BlockKey const key = blocks.Key(i);
    LocatedBlock block{.index = i, .offset = blocks.OffsetOf(i), .size_bytes = blocks.SizeOf(i)};
    block.is_in_memory = memory.Peek(key).has_value();
    if (disk != nullptr) block.on_disk = disk->Locate(key);
    located.blocks.push_back(std::move(block));
  }
  return located;
}

}  // namespace stokefs::cache
