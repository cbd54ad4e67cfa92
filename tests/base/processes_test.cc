#include "base/processes.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <string>
#include <thread>

namespace stokefs::base {
namespace {

uint32_t ThreadId() { return static_cast<uint32_t>(syscall(SYS_gettid)); }
uint32_t Pid() { return static_cast<uint32_t>(getpid()); }

// A child that waits until it is killed; not reaped before End().
class Child {
 public:
  Child() : pid_(fork()) {
    if (pid_ == 0) {
      for (;;) pause();
    }
  }
  ~Child() {
    if (pid_ > 0) End();
  }
  void Kill() const {  // returns when it is a zombie
    kill(pid_, SIGKILL);
    siginfo_t info;
    waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT);
  }
  void End() {
    Kill();
    waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  uint32_t pid() const { return static_cast<uint32_t>(pid_); }

 private:
  pid_t pid_;
};

// Has the calling thread's name until it dies.
class ThreadName {
 public:
  explicit ThreadName(const char* name) {
    prctl(PR_GET_NAME, before_.data());
    prctl(PR_SET_NAME, name);
  }
  ~ThreadName() { prctl(PR_SET_NAME, before_.data()); }

 private:
  std::array<char, 16> before_{};
};

TEST(RealProcesses, TellsWhoTheTestItselfIs) {
  auto const facts = RealProcesses().Of(Pid());
  ASSERT_TRUE(facts.has_value());
  EXPECT_EQ(facts->pid, Pid());
  EXPECT_EQ(facts->parent, static_cast<uint32_t>(getppid()));
  EXPECT_EQ(facts->session, static_cast<uint32_t>(getsid(0)));
  EXPECT_GT(facts->started, 0u);
  EXPECT_TRUE(facts->executable.ends_with("processes_test")) << facts->executable;
  EXPECT_EQ(facts->executable.front(), '/');
}

TEST(RealProcesses, AThreadIsOfItsProcess) {
  std::optional<ProcessFacts> facts;
  uint32_t thread_id = 0;
  std::thread([&] {
    thread_id = ThreadId();
    facts = RealProcesses().Of(thread_id);
  }).join();
  ASSERT_NE(thread_id, Pid());
  ASSERT_TRUE(facts.has_value());
  EXPECT_EQ(facts->pid, Pid());
  EXPECT_EQ(facts->started, RealProcesses().Of(Pid())->started);
}

TEST(RealProcesses, AForkedChildNamesItsParentAndRunsTheSameExecutable) {
  Child child;
  auto const facts = RealProcesses().Of(child.pid());
  ASSERT_TRUE(facts.has_value());
  EXPECT_EQ(facts->pid, child.pid());
  EXPECT_EQ(facts->parent, Pid());
  EXPECT_EQ(facts->executable, RealProcesses().Of(Pid())->executable);
  EXPECT_EQ(facts->session, static_cast<uint32_t>(getsid(0)));
  EXPECT_GE(facts->started, RealProcesses().Of(Pid())->started);
}

TEST(RealProcesses, AZombieAndWhoWasReapedAreGone) {
  Child child;
  uint32_t const pid = child.pid();
  child.Kill();
  EXPECT_FALSE(RealProcesses().Of(pid).has_value());
  child.End();
  EXPECT_FALSE(RealProcesses().Of(pid).has_value());
  EXPECT_FALSE(RealProcesses().Of(0).has_value());
}

TEST(RealProcesses, ANameOfBlanksAndBracketsShiftsNoField) {
  auto const before = RealProcesses().Of(Pid());
  ThreadName const name("a) Z 7 (b) 8 9");
  auto const facts = RealProcesses().Of(Pid());
  ASSERT_TRUE(facts.has_value());
  EXPECT_EQ(facts->parent, before->parent);
  EXPECT_EQ(facts->session, before->session);
  EXPECT_EQ(facts->started, before->started);
}

TEST(RealProcesses, ANameThatLooksLikeAFieldNamesNoOtherProcess) {
  ThreadName const name("Tgid: 1");
  auto const facts = RealProcesses().Of(Pid());
  ASSERT_TRUE(facts.has_value());
  EXPECT_EQ(facts->pid, Pid());
}

// Its files in /proc then open and cannot be read.
TEST(RealProcesses, OneThatEndsWhileItIsLookedAtIsGone) {
  RealProcesses const processes;
  std::atomic<pid_t> looked_at{0};
  std::atomic<bool> done{false};
  std::thread looker([&] {
    while (!done)
      if (pid_t const pid = looked_at; pid != 0) (void)processes.Of(static_cast<uint32_t>(pid));
  });
  for (int i = 0; i < 2000; ++i) {
    pid_t const child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) _exit(0);
    looked_at = child;
    waitpid(child, nullptr, 0);
  }
  done = true;
  looker.join();
}

}  // namespace
}  // namespace stokefs::base
