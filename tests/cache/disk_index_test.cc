#include "cache/disk_index.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>

namespace stokefs::cache {
namespace {

ChunkEntry Entry(uint64_t sample, uint64_t version, uint32_t size_bytes = 100) {
  return {.sample = {.high = sample << 32, .low = sample * 77},
          .extent = static_cast<uint32_t>(sample % 3),
          .size_bytes = size_bytes,
          .offset = sample * 8,
          .digest = sample ^ version,
          .tag = version};
}

BlockName BlockOf(const ChunkEntry& entry) {
  return {.name = NameOf(entry.sample, entry.extent), .tag = entry.tag};
}

DiskFile File(uint64_t id) { return {.directory = 0, .id = {id}, .allocated_bytes = 8192}; }

constexpr auto kStay = DiskIndex::OtherVersions::kStay;
constexpr auto kDie = DiskIndex::OtherVersions::kDie;

TEST(DiskIndex, FindsWhatAFileHolds) {
  DiskIndex index;
  ChunkEntry const entries[] = {Entry(1, 1), Entry(2, 1, 200)};
  DiskFileNumber const file = index.AddFile(File(9), entries, kDie);
  auto const place = index.Find(BlockOf(entries[1]));
  ASSERT_TRUE(place);
  EXPECT_EQ(place->number, file);
  EXPECT_EQ(place->offset, entries[1].offset);
  EXPECT_EQ(place->size_bytes, 200u);
  EXPECT_EQ(place->digest, entries[1].digest);
  EXPECT_EQ(index.BlockCount(), 2u);
  EXPECT_EQ(index.BlockBytes(), 300u);
}

TEST(DiskIndex, AnotherVersionIsNotFound) {
  DiskIndex index;
  index.AddFile(File(1), std::vector{Entry(1, 1)}, kDie);
  EXPECT_FALSE(index.Find(BlockOf(Entry(1, 2))));
  EXPECT_TRUE(index.HasName(BlockOf(Entry(1, 2)).name));
}

TEST(DiskIndex, ANewerVersionKillsTheOlderOne) {
  DiskIndex index;
  DiskFileNumber const old = index.AddFile(File(1), std::vector{Entry(1, 1), Entry(2, 1)}, kDie);
  index.AddFile(File(2), std::vector{Entry(1, 2)}, kDie);
  EXPECT_FALSE(index.Find(BlockOf(Entry(1, 1))));
  EXPECT_TRUE(index.Find(BlockOf(Entry(1, 2))));
  EXPECT_EQ(index.Use(old).live_blocks, 1u);
  EXPECT_TRUE(index.TakeEmptied().empty());
  index.AddFile(File(3), std::vector{Entry(2, 2)}, kDie);
  EXPECT_EQ(index.TakeEmptied(), std::vector{old});
}

TEST(DiskIndex, WhileLoadingBothVersionsStay) {
  DiskIndex index;
  index.AddFile(File(1), std::vector{Entry(1, 1)}, kStay);
  index.AddFile(File(2), std::vector{Entry(1, 2)}, kStay);
  EXPECT_TRUE(index.Find(BlockOf(Entry(1, 1))));
  EXPECT_TRUE(index.Find(BlockOf(Entry(1, 2))));
}

TEST(DiskIndex, TheSameBlockCountsOnceAndKeepsItsPin) {
  DiskIndex index;
  DiskFileNumber const first = index.AddFile(File(1), std::vector{Entry(1, 1)}, kStay);
  ASSERT_TRUE(index.SetPinned(BlockOf(Entry(1, 1)), true));
  DiskFileNumber const second = index.AddFile(File(2), std::vector{Entry(1, 1)}, kStay);
  auto const place = index.Find(BlockOf(Entry(1, 1)));
  ASSERT_TRUE(place);
  EXPECT_EQ(place->number, second);
  EXPECT_TRUE(place->pinned);
  EXPECT_EQ(index.BlockCount(), 1u);
  EXPECT_EQ(index.PinnedCount(), 1u);
  EXPECT_EQ(index.TakeEmptied(), std::vector{first});
}

TEST(DiskIndex, ASweepTakesWhatIsNeitherMarkedNorNew) {
  DiskIndex index;
  DiskFileNumber const old = index.AddFile(File(1), std::vector{Entry(1, 1), Entry(2, 1)}, kDie);
  index.AddFile(File(2), std::vector{Entry(3, 1)}, kDie);
  index.ForgetMarks();
  index.Mark(BlockOf(Entry(3, 1)));
  index.AddFile(File(3), std::vector{Entry(4, 1)}, kDie);
  EXPECT_EQ(index.Sweep(), 2u);
  EXPECT_EQ(index.BlockCount(), 2u);
  EXPECT_TRUE(index.Find(BlockOf(Entry(3, 1))));
  EXPECT_TRUE(index.Find(BlockOf(Entry(4, 1))));
  EXPECT_EQ(index.TakeEmptied(), std::vector{old});
}

TEST(DiskIndex, NumbersOfRemovedFilesAreUsedAgainForOthers) {
  DiskIndex index;
  DiskFileNumber const first = index.AddFile(File(1), std::vector{Entry(1, 1)}, kDie);
  index.RemoveFile(first);
  EXPECT_FALSE(index.Find(BlockOf(Entry(1, 1))));
  DiskFileNumber const second = index.AddFile(File(2), std::vector{Entry(2, 1)}, kDie);
  EXPECT_EQ(first, second);
  EXPECT_FALSE(index.Is(first, 0, {1}));
  EXPECT_TRUE(index.Is(second, 0, {2}));
  EXPECT_TRUE(index.TakeEmptied().empty());
}

TEST(DiskIndex, FollowsAMapOverRandomOperations) {
  uint64_t const seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  DiskIndex index;
  std::map<BlockName, uint64_t> model;       // block → file id
  std::map<uint64_t, DiskFileNumber> files;  // by id
  uint64_t next_id = 1;
  for (int step = 0; step < 3000; ++step) {
    auto const what = random() % 10;
    if (what < 6) {
      std::map<uint64_t, ChunkEntry> chosen;
      for (uint64_t i = 0; i < 1 + random() % 20; ++i) {
        uint64_t const sample = random() % 500;
        chosen[sample] = Entry(sample, random() % 3);
      }
      std::vector<ChunkEntry> entries;
      auto const others = random() % 2 == 0 ? kDie : kStay;
      uint64_t const id = next_id++;
      for (auto const& [sample, entry] : chosen) {
        entries.push_back(entry);
        BlockName const name = BlockOf(entry);
        if (others == kDie) {
          std::erase_if(model, [&](auto const& known) { return known.first.name == name.name; });
        }
        model[name] = id;
      }
      files[id] = index.AddFile(File(id), entries, others);
    } else if (what < 8 && !model.empty()) {
      auto at = model.begin();
      std::advance(at, random() % model.size());
      EXPECT_TRUE(index.Remove(at->first));
      model.erase(at);
    } else if (!files.empty()) {
      auto at = files.begin();
      std::advance(at, random() % files.size());
      std::erase_if(model, [&](auto const& known) { return known.second == at->first; });
      index.RemoveFile(at->second);
      files.erase(at);
    }
    for (DiskFileNumber const number : index.TakeEmptied()) {
      uint64_t const id = index.Use(number).file.id.value;
      ASSERT_EQ(files.count(id), 1u);
      index.RemoveFile(number);
      files.erase(id);
    }
    ASSERT_EQ(index.BlockCount(), model.size());
    for (int i = 0; i < 20; ++i) {
      BlockName const name = BlockOf(Entry(random() % 500, random() % 3));
      auto const place = index.Find(name);
      auto const known = model.find(name);
      ASSERT_EQ(place.has_value(), known != model.end());
      if (!place) continue;
      ASSERT_EQ(index.Use(place->number).file.id.value, known->second);
    }
  }
  uint64_t live = 0;
  for (DiskFileNumber const number : index.Files()) {
    ASSERT_EQ(index.LiveBlocks(number).size(), index.Use(number).live_blocks);
    live += index.Use(number).live_blocks;
  }
  EXPECT_EQ(live, model.size());
}

}  // namespace
}  // namespace stokefs::cache
