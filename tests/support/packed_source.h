// A source tree and the folder that it is packed into.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "base/check.h"
#include "cache/packed_manifest.h"
#include "cache/packer.h"
#include "tests/support/source_tree.h"

namespace stokefs::testing {

inline std::string ReadBytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void WriteBytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

inline void FlipBit(const std::string& path, size_t bit) {
  std::string bytes = ReadBytes(path);
  bytes.at(bit / 8) = static_cast<char>(bytes.at(bit / 8) ^ (1 << bit % 8));
  WriteBytes(path, bytes);
}

class PackedSource {
 public:
  PackedSource() {
    options.out = dir_ / "out";
    options.source_paths = {source.path()};
    options.threads = 2;
    options.scan_threads = 2;
  }

  base::Result<cache::PackSummary> TryPack() { return cache::Pack(options, source.Open()); }
  cache::PackSummary Pack() {
    auto const packed = TryPack();
    STOKEFS_CHECK(packed.has_value());
    return *packed;
  }
  const std::string& out() const { return options.out; }
  std::string operator/(const std::string& name) const { return options.out + "/" + name; }
  base::UniqueFd OpenOut() const {
    return base::UniqueFd(open(out().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  }
  bool HasManifest() const { return std::filesystem::exists(options.out + "/manifest"); }
  // Regular files below OUT/chunks, sorted.
  std::vector<std::string> ChunkFiles() const {
    std::vector<std::string> files;
    for (auto const& entry : std::filesystem::recursive_directory_iterator(out() + "/chunks")) {
      if (entry.is_regular_file()) files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    return files;
  }
  std::string IndexFile() const {
    auto const manifest = cache::ParsePackedManifest(ReadBytes(options.out + "/manifest"));
    STOKEFS_CHECK(manifest.has_value());
    return options.out + "/" + manifest->IndexName();
  }

  SourceTree source;
  cache::PackOptions options;

 private:
  TempDir dir_;
};

}  // namespace stokefs::testing
