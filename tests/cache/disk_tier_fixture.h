// A disk tier over real files in a folder of the test's own, fed by hand as the read path would.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/journal.h"
#include "base/real_storage.h"
#include "base/sync.h"
#include "cache/digest.h"
#include "cache/disk_tier.h"
#include "cache/lru_policy.h"
#include "tests/support/block_bytes.h"
#include "tests/support/fake_locator.h"
#include "tests/support/temp_dir.h"

namespace stokefs::cache {

class DiskTierTest : public ::testing::Test {
 protected:
  static constexpr uint32_t kBlockBytes = 3000;
  static constexpr uint64_t kBudget = 4u << 20;

  DiskTierTest() {
    memory_ = std::move(*MemoryTier::Create(1 << 20, policy_));
    for (uint32_t i = 2; i < 2000; ++i) SetVersion({i}, 1);
    options_ = {.folders = {folder_ / "a"},
                .budget_bytes = kBudget,
                .dataset = 7,
                .layout = {.chunk_bytes = 64u << 10, .chunk_samples = 64},
                .extent_bytes = 1u << 20,
                .free_floor_bytes = 0,
                .flush_after = std::chrono::milliseconds(10)};
  }
  ~DiskTierTest() override { Close(); }

  void SetVersion(NodeId node, int64_t version) {
    locator_.Add(node, "folder/" + std::to_string(node.value),
                 FileVersion{.size_bytes = kBlockBytes,
                             .inode = node.value,
                             .mtime_ns = version,
                             .ctime_ns = version});
  }

  DiskTier& tier() {
    if (tier_ == nullptr) {
      tier_ = DiskTier::Create(options_, locator_, *memory_, *storage_, *journal_, clock_);
      tier_->Start();
    }
    return *tier_;
  }
  void Close() {
    if (tier_ == nullptr) return;
    EXPECT_TRUE(tier_->Stop(std::chrono::seconds(20)));
    tier_.reset();
  }

  // The origin gave this block, with bytes that tell its version.
  void Feed(NodeId node, uint64_t salt = 0) {
    std::vector<std::byte> bytes(kBlockBytes);
    testing::FillBlock(bytes, {node}, salt);
    tier().OnFetched({.key = {node}, .bytes = bytes, .digest = DigestOf(bytes)});
  }
  // In portions that the collector has room for: memory holds nothing to come back for.
  void FeedMany(uint32_t first, uint32_t end) {
    for (uint32_t i = first; i < end; ++i) {
      Feed({i});
      if (i % 40 == 39) tier().Flush();
    }
    tier().Flush();
  }

  // errno of the read, 0 with right bytes, -1 with wrong ones, -2 without an answer.
  int Read(NodeId node, uint64_t salt = 0, uint32_t size_bytes = kBlockBytes) {
    struct Answer {
      base::Mutex mu;
      base::CondVar answered;
      bool is_here GUARDED_BY(mu) = false;
      base::Status status GUARDED_BY(mu);
      std::vector<std::byte> bytes;
    };
    auto const answer = std::make_shared<Answer>();
    answer->bytes.resize(size_bytes);
    std::vector<FetchItem> items;
    items.push_back({.key = {node}, .into = answer->bytes, .done = [answer](base::Status status) {
                       base::MutexLock lock(answer->mu);
                       answer->is_here = true;
                       answer->status = std::move(status);
                       answer->answered.SignalAll();
                     }});
    tier().Fetch(std::move(items));
    auto const end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    base::MutexLock lock(answer->mu);
    while (!answer->is_here) {
      if (std::chrono::steady_clock::now() > end) return -2;
      answer->answered.WaitFor(answer->mu, std::chrono::milliseconds(100));
    }
    if (!answer->status) return answer->status.error().Errno();
    return testing::HoldsBlock(answer->bytes, {node}, salt) ? 0 : -1;
  }

  std::vector<std::filesystem::path> Files(const std::string& ending = ".chunk") {
    std::vector<std::filesystem::path> files;
    for (auto const& entry : std::filesystem::recursive_directory_iterator(folder_.path())) {
      if (entry.path().extension() == ending) files.push_back(entry.path());
    }
    return files;
  }
  uint64_t BytesOnDisk() {
    uint64_t bytes = 0;
    for (auto const& entry : std::filesystem::recursive_directory_iterator(folder_.path())) {
      struct stat st {};
      if (entry.is_regular_file() && stat(entry.path().c_str(), &st) == 0) {
        bytes += static_cast<uint64_t>(st.st_blocks) * 512;
      }
    }
    return bytes;
  }

  testing::TempDir folder_;
  const base::SteadyClock clock_;
  std::unique_ptr<base::Journal> journal_ = base::Journal::Discard();
  base::RealStorage real_storage_;
  base::Storage* storage_ = &real_storage_;
  testing::FakeLocator locator_;
  LruPolicy policy_;
  std::unique_ptr<MemoryTier> memory_;
  DiskTier::Options options_;
  std::unique_ptr<DiskTier> tier_;
};

}  // namespace stokefs::cache
