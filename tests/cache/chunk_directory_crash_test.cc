// What a crash leaves of a directory: each file that is found is whole, or is told to be damaged;
// what was written and not removed is found.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <future>
#include <map>
#include <set>

#include "base/real_storage.h"
#include "cache/chunk_directory.h"
#include "tests/support/chunk_image.h"
#include "tests/support/faulty_storage.h"
#include "tests/support/temp_dir.h"

namespace stokefs::cache {
namespace {

namespace fs = std::filesystem;
using testing::ChunkImage;
using testing::FaultyStorage;
using testing::MakeChunkImage;

std::unique_ptr<ChunkDirectory> OpenDirectory(const std::string& path, base::Storage& storage) {
  auto opened = ChunkDirectory::Open({.path = path, .direct = false}, storage);
  return opened ? std::move(*opened) : nullptr;
}

class ChunkDirectoryCrash : public ::testing::Test {
 protected:
  // Writes files, removes one and puts one aside, as far as the machine lets it.
  void Work(const std::string& path, FaultyStorage& disk) {
    written_.clear();
    taken_.clear();
    auto const directory = OpenDirectory(path, disk);
    if (directory == nullptr) return;
    std::vector<ChunkFileId> files;
    for (size_t i = 0; i < images_.size(); ++i) {
      auto const written = directory->Write(images_[i].bytes());
      if (!written) continue;
      written_[written->file.value] = i;
      files.push_back(written->file);
      if (files.size() == 2) {
        taken_.insert(files[0].value);
        static_cast<void>(directory->Remove(files[0]));
      }
      if (files.size() == 3) {
        taken_.insert(files[1].value);
        static_cast<void>(directory->PutAside(files[1]));
      }
    }
  }

  static bool IsWhole(ChunkDirectory& directory, ChunkFileId file, const ChunkHead& head,
                      const ChunkImage& image) {
    if (head.entries.size() != image.head.entries.size()) return false;
    for (ChunkEntry const& entry : head.entries) {
      std::vector<std::byte> bytes(entry.size_bytes);
      std::promise<bool> read;
      std::vector<ChunkRead> reads;
      reads.push_back(
          {.file = file,
           .offset = entry.offset,
           .into = bytes,
           .done = [&](const base::Status& status) { read.set_value(status.has_value()); }});
      directory.Read(std::move(reads));
      if (!read.get_future().get() || DigestOf(bytes) != entry.digest) return false;
      if (std::memcmp(bytes.data(), image.Block(entry).data(), bytes.size()) != 0) {
        ADD_FAILURE() << "wrong bytes under a right digest";
      }
    }
    return true;
  }

  struct Found {
    size_t whole = 0;
    size_t damaged = 0;
    std::set<uint64_t> ids;
  };

  // Opens the folder as the next start does.
  Found Reopen(const std::string& path) {
    Found result;
    base::RealStorage real;
    auto const directory = OpenDirectory(path, real);
    std::vector<FoundChunk> chunks;
    uint64_t allocated_bytes = 0;
    EXPECT_TRUE(directory->Scan([&](FoundChunk chunk) { chunks.push_back(std::move(chunk)); }));
    for (FoundChunk const& chunk : chunks) {
      allocated_bytes += chunk.allocated_bytes;
      result.ids.insert(chunk.file.value);
      if (chunk.is_bad) continue;
      auto const of = written_.find(chunk.file.value);
      bool whole = chunk.head.has_value();
      if (whole && of != written_.end()) {
        whole = IsWhole(*directory, chunk.file, *chunk.head, images_[of->second]);
      }
      ++(whole ? result.whole : result.damaged);
    }
    // Nothing is there that was not told of.
    uint64_t taken_bytes = 0;
    for (auto const& entry : fs::recursive_directory_iterator(path)) {
      if (!entry.is_regular_file()) continue;
      EXPECT_NE(entry.path().extension(), ".new");
      auto const files = real.ListFiles(entry.path().parent_path().string());
      for (base::StoredFile const& file : *files) {
        if (file.name == entry.path().filename()) taken_bytes += file.allocated_bytes;
      }
    }
    EXPECT_EQ(allocated_bytes, taken_bytes);
    return result;
  }

  std::vector<ChunkImage> MakeImages() {
    std::vector<ChunkImage> images;
    for (uint64_t i = 0; i < 5; ++i) images.push_back(MakeChunkImage(i, {500, 9000, 70'000}));
    return images;
  }

  const std::vector<ChunkImage> images_ = MakeImages();
  std::map<uint64_t, size_t> written_;  // id to image, of writes that succeeded
  std::set<uint64_t> taken_;            // removed or put aside, or about to be
};

TEST_F(ChunkDirectoryCrash, AfterACrashAtAnyChangeAllThatWasWrittenIsThereAndWhole) {
  size_t changes = 0;
  for (size_t at = 1; at == 1 || at <= changes; ++at) {
    for (uint64_t seed = 0; seed < 3; ++seed) {
      SCOPED_TRACE("change " + std::to_string(at) + ", seed " + std::to_string(seed));
      testing::TempDir folder("/dev/shm");
      base::RealStorage real;
      FaultyStorage disk(real, seed);
      disk.StopAtChange(at == 1 && seed == 0 ? 1000 : at);
      Work(folder / "cache", disk);
      if (at == 1 && seed == 0) changes = disk.ChangeCount();
      disk.Crash();
      Found const found = Reopen(folder / "cache");
      EXPECT_EQ(found.damaged, 0u);
      for (auto const& [id, image] : written_) {
        EXPECT_TRUE(taken_.contains(id) || found.ids.contains(id));
      }
      if (HasFailure()) return;
    }
  }
  EXPECT_GT(changes, 15u);
}

TEST_F(ChunkDirectoryCrash, WhatADiskLostThatDidNotSyncIsToldAsDamaged) {
  size_t whole = 0, damaged = 0;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    testing::TempDir folder("/dev/shm");
    base::RealStorage real;
    FaultyStorage disk(real, seed);
    disk.SetSyncsLost();
    Work(folder / "cache", disk);
    ASSERT_EQ(written_.size(), images_.size());
    disk.Crash();
    Found const found = Reopen(folder / "cache");
    whole += found.whole;
    damaged += found.damaged;
  }
  EXPECT_GT(damaged, 0u);
  EXPECT_GT(whole, 0u);  // cut at its very end
}

}  // namespace
}  // namespace stokefs::cache
