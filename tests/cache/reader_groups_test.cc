#include "cache/reader_groups.h"

#include <gtest/gtest.h>

#include <chrono>

#include "tests/support/fake_clock.h"
#include "tests/support/fake_processes.h"

namespace stokefs::cache {
namespace {

using std::chrono::seconds;

constexpr const char* kPython = "/usr/bin/python3.11";
constexpr const char* kShell = "/bin/bash";
constexpr uint32_t kTrainer = 100;

class ReaderGroupsTest : public ::testing::Test {
 protected:
  ReaderGroupsTest() {
    processes_.Add(1, 0, "/sbin/init");
    processes_.Add(50, 1, kShell);
    processes_.Add(kTrainer, 50, kPython);
  }
  // None when the reader is not known.
  std::optional<ReaderGroup> GroupOf(uint32_t thread_id) {
    const ReaderGroup* const group = groups_.GroupOf({thread_id});
    if (group == nullptr) return std::nullopt;
    return *group;
  }
  uint32_t PidOf(uint32_t thread_id) {
    auto const group = GroupOf(thread_id);
    return group ? group->pid : ~uint32_t{0};
  }

  testing::FakeProcesses processes_;
  testing::FakeClock clock_;
  ReaderGroups groups_{processes_, clock_};
};

TEST_F(ReaderGroupsTest, ATrainerIsAGroupThatBearsItsExecutableAndPid) {
  auto const group = GroupOf(kTrainer);
  ASSERT_TRUE(group.has_value());
  EXPECT_EQ(group->pid, kTrainer);
  EXPECT_EQ(group->started, 100u);
  EXPECT_EQ(group->name, "python3.11-100");
}

TEST_F(ReaderGroupsTest, ForkedWorkersAndThreadsAreOfTheirTrainer) {
  processes_.Add(101, kTrainer, kPython);
  processes_.Add(102, kTrainer, kPython);
  processes_.pid_of_thread[201] = kTrainer;
  processes_.pid_of_thread[202] = 102;  // a thread of a worker
  for (uint32_t const reader : {101u, 102u, 201u, 202u}) EXPECT_EQ(PidOf(reader), kTrainer);
}

TEST_F(ReaderGroupsTest, SpawnedWorkersBehindTheirForkServerAreOfTheirTrainer) {
  processes_.Add(110, kTrainer, kPython);  // the fork server, or the resource tracker
  processes_.Add(111, 110, kPython);
  EXPECT_EQ(PidOf(111), kTrainer);
}

TEST_F(ReaderGroupsTest, RanksAreOfTheirLauncher) {
  processes_.Add(120, kTrainer, kPython);
  processes_.Add(121, kTrainer, kPython);
  processes_.Add(130, 120, kPython);  // workers of the two ranks
  processes_.Add(131, 121, kPython);
  EXPECT_EQ(*GroupOf(130), *GroupOf(131));
  EXPECT_EQ(PidOf(130), kTrainer);
}

TEST_F(ReaderGroupsTest, TwoTrainersOfOneShellAreTwoGroups) {
  processes_.Add(140, 50, kPython);
  EXPECT_EQ(PidOf(kTrainer), kTrainer);
  EXPECT_EQ(PidOf(140), 140u);
}

TEST_F(ReaderGroupsTest, AShellWithinAShellIsOneGroupButNotWhatItRuns) {
  processes_.Add(150, 50, kShell);
  processes_.Add(151, 150, "/bin/cp");
  EXPECT_EQ(PidOf(150), 50u);
  EXPECT_EQ(PidOf(151), 151u);
}

TEST_F(ReaderGroupsTest, ASessionOfItsOwnIsAGroupOfItsOwn) {
  processes_.Add(160, kTrainer, kPython);  // as a kernel of a notebook's server
  processes_.facts[160].session = 160;
  EXPECT_EQ(PidOf(160), 160u);
}

TEST_F(ReaderGroupsTest, ExecutablesThatAreNotOursToKnowLeadNowhere) {
  processes_.Add(170, 0, "");
  processes_.Add(171, 170, "");
  auto const group = GroupOf(171);
  ASSERT_TRUE(group.has_value());
  EXPECT_EQ(group->pid, 171u);
  EXPECT_EQ(group->name, "process-171");
}

TEST_F(ReaderGroupsTest, AParentThatIsGoneEndsTheWayUp) {
  processes_.Add(180, 999, kPython);
  EXPECT_EQ(PidOf(180), 180u);
}

TEST_F(ReaderGroupsTest, ParentsThatGoInACircleEndTheWayUpToo) {
  processes_.Add(190, 191, kPython);  // pids that were used again between two looks
  processes_.Add(191, 190, kPython);
  EXPECT_TRUE(GroupOf(190).has_value());
}

TEST_F(ReaderGroupsTest, ReadersOfAnotherPidNamespaceAreOneGroupThatIsAlwaysAlive) {
  auto const group = GroupOf(0);
  ASSERT_TRUE(group.has_value());
  EXPECT_EQ(group->pid, 0u);
  EXPECT_EQ(group->name, "unknown");
  EXPECT_TRUE(groups_.IsAlive(*group));
  EXPECT_EQ(processes_.asked_count, 0u);
}

TEST_F(ReaderGroupsTest, APidThatIsUsedAgainIsAnotherGroup) {
  auto const before = GroupOf(kTrainer);
  ASSERT_TRUE(before.has_value());
  EXPECT_TRUE(groups_.IsAlive(*before));
  processes_.Add(kTrainer, 50, kPython, 777);
  EXPECT_FALSE(groups_.IsAlive(*before));
  clock_.Advance(seconds(6));
  auto const after = GroupOf(kTrainer);
  ASSERT_TRUE(after.has_value());
  EXPECT_FALSE(*before == *after);
  EXPECT_TRUE(groups_.IsAlive(*after));
}

TEST_F(ReaderGroupsTest, APidThatIsAThreadOfAnotherNowIsNotAlive) {
  auto const before = GroupOf(kTrainer);
  processes_.facts.erase(kTrainer);
  EXPECT_FALSE(groups_.IsAlive(*before));
  processes_.Add(300, 50, kPython);
  processes_.pid_of_thread[kTrainer] = 300;
  EXPECT_FALSE(groups_.IsAlive(*before));
}

TEST_F(ReaderGroupsTest, WhoWasNeverSeenAliveIsNobody) {
  EXPECT_FALSE(GroupOf(404).has_value());
  processes_.Add(404, 50, kPython);
  EXPECT_FALSE(GroupOf(404).has_value()) << "remembered, so that who is gone costs one look";
  clock_.Advance(seconds(6));
  EXPECT_EQ(PidOf(404), 404u);
}

TEST_F(ReaderGroupsTest, TheLastReadsOfAWorkerThatHasEndedAreItsGroups) {
  processes_.Add(101, kTrainer, kPython);
  EXPECT_EQ(PidOf(101), kTrainer);
  processes_.facts.erase(101);
  EXPECT_EQ(PidOf(101), kTrainer);
  clock_.Advance(seconds(6));
  EXPECT_EQ(PidOf(101), kTrainer);
}

TEST_F(ReaderGroupsTest, AnswersAreRememberedForSeconds) {
  GroupOf(kTrainer);
  size_t const asked_count = processes_.asked_count;
  for (int i = 0; i < 1000; ++i) GroupOf(kTrainer);
  EXPECT_EQ(processes_.asked_count, asked_count);
  clock_.Advance(seconds(6));
  GroupOf(kTrainer);
  EXPECT_GT(processes_.asked_count, asked_count);
}

TEST_F(ReaderGroupsTest, TenThousandThreadsAreStillTold) {
  for (uint32_t thread = 1000; thread < 11'000; ++thread) {
    processes_.pid_of_thread[thread] = kTrainer;
    ASSERT_EQ(PidOf(thread), kTrainer);
  }
}

}  // namespace
}  // namespace stokefs::cache
