#include "hints/residency.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>

#include "cache/lru_policy.h"
#include "hints/hint_parser.h"
#include "hints/path_escape.h"
#include "tests/support/catalog_mount.h"

namespace stokefs::hints {
namespace {

using testing::CatalogMount;
using testing::SourceTree;

constexpr uint64_t kExtentBytes = 10;

TEST(EscapePath, EscapesWhatEndsAWordAndNothingElse) {
  EXPECT_EQ(EscapePath("train/n01/a.jpg"), "train/n01/a.jpg");
  EXPECT_EQ(EscapePath("a b%c\nd\x7f"), "a%20b%25c%0Ad%7F");
  EXPECT_EQ(EscapePath("#1/#2"), "%231/#2");
  EXPECT_EQ(EscapePath("\xff\xc3\xa4"), "\xff\xc3\xa4");
}

TEST(EscapePath, IsWhatHintsUnescape) {
  std::string every;
  for (int byte = 1; byte < 256; ++byte) every += static_cast<char>(byte);
  for (const std::string& path : {every, "#" + every, std::string("%41"), std::string("plain")}) {
    std::string back, reason;
    EXPECT_TRUE(Unescape(EscapePath(path), back, reason)) << reason;
    EXPECT_EQ(back, path);
  }
}

class ResidencyTest : public ::testing::Test {
 protected:
  ResidencyTest() {
    source_.File("b/one two", "abc");
    source_.File("a", "abc");
    source_.File("empty", "");
    source_.File("large", std::string(25, 'x'));  // three extents
    mount_ = std::make_unique<CatalogMount>(source_);
    mount_->StartAndComplete();
    memory_ = std::move(*cache::MemoryTier::Create(1 << 20, policy_));
  }
  void Insert(const std::string& path, uint32_t index = 0) {
    auto reservation = memory_->Reserve(3, cache::RoomRule::kMayEvict);
    ASSERT_TRUE(reservation.has_value());
    memory_->Publish(std::move(*reservation), {(*mount_)->FindPath(path).value(), index}, 0);
  }
  std::string List() { return ListResidency(*mount_->catalog, *memory_, kExtentBytes); }

  SourceTree source_;
  cache::LruPolicy policy_;
  std::unique_ptr<CatalogMount> mount_;
  std::unique_ptr<cache::MemoryTier> memory_;
};

TEST_F(ResidencyTest, ListsWhatIsInMemorySortedAndEscaped) {
  EXPECT_EQ(List(), "");
  Insert("b/one two");
  Insert("a");
  EXPECT_EQ(List(), "a\nb/one%20two\n");
}

TEST_F(ResidencyTest, ALargeFileIsListedWhenAllOfItsExtentsAreThere) {
  Insert("large", 0);
  Insert("large", 2);
  EXPECT_EQ(List(), "");
  Insert("large", 1);
  EXPECT_EQ(List(), "large\n");
}

TEST_F(ResidencyTest, AFileThatHasChangedIsNotListedForItsOldBytes) {
  Insert("a");
  source_.File("a", "abcd");
  std::promise<void> refreshed;
  mount_->catalog->Refresh([&](auto&&...) { refreshed.set_value(); });
  refreshed.get_future().wait();
  EXPECT_EQ(List(), "");
}

}  // namespace
}  // namespace stokefs::hints
