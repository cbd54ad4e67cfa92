// What the kernel holds of a real mount, steered: pushed pages are read without asking the daemon,
// dropped ones are asked for again.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/executor.h"
#include "base/file.h"
#include "base/journal.h"
#include "cache/catalog.h"
#include "cache/directory_lister.h"
#include "cache/lru_policy.h"
#include "cache/memory_tier.h"
#include "cache/origin_directory.h"
#include "cache/read_path.h"
#include "fs/dataset_mount.h"
#include "fs/notify_kernel_cache.h"
#include "tests/support/fuse_device.h"
#include "tests/support/source_tree.h"
#include "tests/support/temp_dir.h"

namespace stokefs::fs {
namespace {

using cache::NodeId;

class KernelCacheTest : public ::testing::Test {
 protected:
  void SetUp() override {
    STOKEFS_SKIP_WITHOUT_FUSE();
    source_.File("folder/sample", std::string(100'000, 'o'));
    auto lister = cache::DirectoryLister::Make(source_.Open());
    ASSERT_TRUE(lister) << lister.error().message;
    auto catalog = cache::Catalog::Open({}, std::move(*lister), *journal_, clock_);
    ASSERT_TRUE(catalog) << catalog.error().message;
    catalog_ = std::move(*catalog);
    memory_ = std::move(cache::MemoryTier::Create(8u << 20, policy_).value());
    origin_ = std::make_unique<cache::OriginDirectory>(cache::OriginDirectory::Options{},
                                                       source_.Open(), *catalog_, clock_);
    read_path_ = std::make_unique<cache::ReadPath>(
        cache::ReadPath::Options{}, *catalog_, *memory_,
        std::vector<cache::ReadPath::Source>{
            {.source = origin_.get(), .deadline = std::chrono::seconds(30)}},
        std::vector<cache::ReadEventQueue*>{}, clock_);
    auto mount = DatasetMount::Mount(
        {.mount_point = mount_point_.path(), .source_name = "test", .control_link = "/nowhere"},
        *catalog_, *read_path_, in_flight_);
    ASSERT_TRUE(mount) << mount.error().message;
    mount_ = std::move(*mount);
    kernel_.Attach(mount_->session().raw());
    catalog_->Start(nullptr);
    mount_->Start([] {});
  }
  void TearDown() override {
    if (mount_ == nullptr) return;
    read_path_->Shutdown(std::errc::io_error);
    catalog_->Stop(std::chrono::seconds(10));
    mount_->Stop();
    origin_->Stop(std::chrono::seconds(10));
  }

  std::string ReadSample() {
    return base::ReadFile(mount_point_ / "folder/sample").value_or(std::string("unreadable"));
  }
  NodeId SampleNode() {
    NodeId const folder = catalog_->Lookup(cache::kRootNode, "folder").value().node;
    return catalog_->Lookup(folder, "sample").value().node;
  }
  uint64_t ReadCount() const { return read_path_->Statistics().samples.Value(); }

  testing::SourceTree source_;
  testing::TempDir mount_point_;
  const base::SteadyClock clock_{};
  const std::unique_ptr<base::Journal> journal_ = base::Journal::Discard();
  cache::LruPolicy policy_;
  std::unique_ptr<cache::Catalog> catalog_;
  std::unique_ptr<cache::MemoryTier> memory_;
  std::unique_ptr<cache::OriginDirectory> origin_;
  std::unique_ptr<cache::ReadPath> read_path_;
  ReadsInFlight in_flight_;
  NotifyKernelCache kernel_;
  std::unique_ptr<DatasetMount> mount_;
};

TEST_F(KernelCacheTest, PushedPagesAreReadWithoutTheDaemon) {
  struct stat st {};
  ASSERT_EQ(stat((mount_point_ / "folder/sample").c_str(), &st), 0);  // the kernel must know it
  // Not the origin's bytes, so that it shows where they came from.
  std::string const pushed(100'000, 'p');
  base::Status const done = kernel_.Push(SampleNode(), 0, std::as_bytes(std::span(pushed)));
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(ReadSample(), pushed);
  EXPECT_EQ(ReadCount(), 0u);
}

TEST_F(KernelCacheTest, DroppedPagesAreAskedForAgain) {
  EXPECT_EQ(ReadSample(), std::string(100'000, 'o'));
  EXPECT_EQ(ReadSample(), std::string(100'000, 'o'));
  EXPECT_EQ(ReadCount(), 1u);  // the second one was the kernel's
  ASSERT_TRUE(kernel_.Drop(SampleNode()));
  EXPECT_EQ(ReadSample(), std::string(100'000, 'o'));
  EXPECT_EQ(ReadCount(), 2u);
}

TEST_F(KernelCacheTest, WhatTheKernelNeverLookedUpCannotBePushed) {
  ASSERT_EQ(access((mount_point_ / "folder").c_str(), F_OK), 0);
  std::byte const byte{1};
  EXPECT_EQ(kernel_.Push(NodeId{4'000'000}, 0, {&byte, 1}).error().Errno(), ENOENT);
}

TEST(KernelCache, WithoutASessionSaysSo) {
  NotifyKernelCache kernel;
  EXPECT_EQ(kernel.Drop(cache::kRootNode).error().Errno(), ENOTCONN);
}

}  // namespace
}  // namespace stokefs::fs
