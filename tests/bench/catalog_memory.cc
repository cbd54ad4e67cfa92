// What the catalog takes of memory: a table of N synthetic files (default 1,000,000, 1,000 a
// folder, names as in ImageNet) is filled and summed up; prints bytes a file.
// Usage: catalog_memory [files]. Exit status 1 above the promise of 200 bytes a file plus 64 MiB.
#include <malloc.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "cache/layout_summary.h"
#include "cache/node_table.h"

int main(int argc, char** argv) {
  using namespace stokefs::cache;
  size_t const files = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1'000'000;
  constexpr size_t kFilesPerFolder = 1000;
  size_t const before = mallinfo2().uordblks + mallinfo2().hblkhd;
  NodeTable table({.type = FileType::kFolder});
  FolderListing top;
  for (size_t i = 0; i * kFilesPerFolder < files; ++i) {
    top.Add(std::string("n").append(std::to_string(10'000'000 + i)), {.type = FileType::kFolder});
  }
  table.Update(kRootNode, top);
  for (uint32_t const folder : table.Children(kRootNode)) {
    FolderListing listing;
    std::string const name(table.Name(NodeId{folder}));
    for (size_t i = 0; i < kFilesPerFolder; ++i) {
      listing.Add(std::string(name).append("_").append(std::to_string(100'000 + i)).append(".JPEG"),
                  {.size_bytes = 110'000 + i, .inode = i, .mtime_ns = 1, .ctime_ns = 2});
    }
    table.Update(NodeId{folder}, listing);
  }
  size_t const held = mallinfo2().uordblks + mallinfo2().hblkhd - before;
  LayoutSummary const summary = SummarizeLayout(CollectSamples(table), {}, 1u << 20);
  double const per_file = static_cast<double>(held) / static_cast<double>(summary.samples);
  printf("%llu files, %llu chunks, digest %s\n", static_cast<unsigned long long>(summary.samples),
         static_cast<unsigned long long>(summary.chunks), summary.digest.c_str());
  printf("table: %.1f bytes a file held, %.1f by its own account\n", per_file,
         static_cast<double>(table.MemoryBytes()) / static_cast<double>(summary.samples));
  return held > summary.samples * 200 + (64u << 20) ? 1 : 0;
}
