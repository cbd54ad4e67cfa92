// A read path over a small arena, two fake sources and a clock of the test's own.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "cache/lru_policy.h"
#include "cache/read_path.h"
#include "tests/support/block_bytes.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_layout.h"
#include "tests/support/fake_source.h"

namespace stokefs::cache {

inline constexpr uint64_t kExtent = 64u << 10;
inline constexpr NodeId kSmall{2};  // 1,000 bytes
inline constexpr NodeId kLarge{3};  // 3 extents and 100 bytes
inline constexpr NodeId kEven{4};   // 2 extents
inline constexpr NodeId kEmpty{5};  // 0 bytes
inline constexpr NodeId kHuge{6};   // above the arena

// The byte of the file that FakeSource makes up.
inline std::byte FileByte(NodeId node, uint64_t offset) {
  return testing::BlockByte({node, static_cast<uint32_t>(offset / kExtent)}, offset % kExtent);
}

// What became of one READ.
struct Asked {
  ReadRequest request;
  ReadTicket ticket;
  int done_count = 0;
  std::optional<base::Result<ReadReply>> answer;

  bool Answered() const { return done_count > 0; }
  int Errno() const { return !answer ? -1 : answer->has_value() ? 0 : answer->error().Errno(); }
  Tier tier() const { return (*answer)->tier; }
  uint64_t SizeBytes() const { return (*answer)->SizeBytes(); }
  bool RightBytes() const {
    uint64_t offset = request.offset;
    for (auto const& span : (*answer)->spans) {
      for (std::byte const byte : span) {
        if (byte != FileByte(request.node, offset++)) return false;
      }
    }
    return true;
  }
};

class ReadPathTest : public ::testing::Test {
 protected:
  static constexpr base::Duration kReadDeadline = std::chrono::seconds(30);
  static constexpr base::Duration kDiskDeadline = std::chrono::seconds(1);
  static constexpr base::Duration kOriginDeadline = std::chrono::seconds(10);

  ReadPathTest() {
    layout_.size_bytes = {{kSmall, 1000},
                          {kLarge, 3 * kExtent + 100},
                          {kEven, 2 * kExtent},
                          {kEmpty, 0},
                          {kHuge, 100 * kExtent}};
    for (uint32_t i = 100; i < 200; ++i) layout_.size_bytes[NodeId{i}] = kExtent;
    memory_ = std::move(*MemoryTier::Create(1 << 20, policy_));
    sources_ = {{&origin_, kOriginDeadline}};
    options_ = {.extent_bytes = kExtent, .read_deadline = kReadDeadline};
  }

  void UseDiskAndOrigin() { sources_ = {{&disk_, kDiskDeadline}, {&origin_, kOriginDeadline}}; }

  ReadPath& path() {
    if (!path_) {
      path_ = std::make_unique<ReadPath>(options_, layout_, *memory_, sources_, observers_, clock_);
    }
    return *path_;
  }

  std::shared_ptr<Asked> Read(NodeId node, uint64_t offset, uint32_t size_bytes) {
    auto asked = std::make_shared<Asked>();
    asked->request = {.node = node, .offset = offset, .size_bytes = size_bytes, .reader = {7}};
    asked->ticket = path().Read(asked->request, [asked](base::Result<ReadReply> answer) {
      ++asked->done_count;
      asked->answer.emplace(std::move(answer));
    });
    return asked;
  }
  // Reads it into memory.
  void Warm(NodeId node, uint64_t offset, uint32_t size_bytes) {
    auto const asked = Read(node, offset, size_bytes);
    origin_.AnswerAll();
    ASSERT_EQ(asked->Errno(), 0);
  }
  // Answers the oldest item of `source` with an error.
  static void Refuse(testing::FakeSource& source, int error_number) {
    ASSERT_TRUE(source.AnswerNext(base::FailErrno(error_number, "fake")));
  }
  // Rooms that leave nothing of the arena.
  std::vector<Reservation> FillArena() {
    std::vector<Reservation> rooms;
    while (auto room = memory_->Reserve(kExtent)) rooms.push_back(std::move(*room));
    return rooms;
  }
  void PassTime(base::Duration by) {
    clock_.Advance(by);
    path().Tick();
  }
  const ReadStatistics& statistics() { return path().Statistics(); }

  testing::FakeClock clock_;
  testing::FakeLayout layout_;
  LruPolicy policy_;
  std::unique_ptr<MemoryTier> memory_;
  testing::FakeSource disk_{Tier::kDisk};
  testing::FakeSource origin_{Tier::kOrigin};
  ReadPath::Options options_;
  std::vector<ReadPath::Source> sources_;
  std::vector<ReadEventQueue*> observers_;
  std::unique_ptr<ReadPath> path_;
};

}  // namespace stokefs::cache
