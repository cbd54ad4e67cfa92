#include "tools/daemon.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "base/executor.h"
#include "base/journal.h"
#include "tools/serving_stack.h"
#include "tools/version.h"

namespace stokefs::tools {
namespace {

// A control mount that is unmounted more often than this within a minute is left alone.
constexpr int kControlRemountsMax = 3;
constexpr std::chrono::minutes kControlRemountsPeriod{1};

enum class Wake : uint8_t { kSignal, kDatasetEnded, kControlLost };

enum class HangUp : uint8_t { kEnds, kIsIgnored };

// What ends a daemon, turned into descriptors that one thread waits for.
class WakeUps {
 public:
  // Blocks the signals for this thread and those it makes. A hang-up ends only a daemon that stays
  // in the foreground of its terminal.
  explicit WakeUps(HangUp hang_up)
      : dataset_ended_(eventfd(0, EFD_CLOEXEC)), control_lost_(eventfd(0, EFD_CLOEXEC)) {
    sigset_t ends;
    sigemptyset(&ends);
    for (int signal : {SIGINT, SIGTERM}) sigaddset(&ends, signal);
    if (hang_up == HangUp::kEnds) {
      sigaddset(&ends, SIGHUP);
    } else {
      signal(SIGHUP, SIG_IGN);
    }
    pthread_sigmask(SIG_BLOCK, &ends, nullptr);
    signals_ = base::UniqueFd(signalfd(-1, &ends, SFD_CLOEXEC));
    signal(SIGPIPE, SIG_IGN);
  }

  void DatasetEnded() { Raise(dataset_ended_); }
  void ControlLost() { Raise(control_lost_); }

  Wake Wait(std::string* what) {
    for (;;) {
      pollfd fds[] = {{signals_.Get(), POLLIN, 0},
                      {dataset_ended_.Get(), POLLIN, 0},
                      {control_lost_.Get(), POLLIN, 0}};
      if (poll(fds, 3, -1) < 0) continue;
      if (fds[0].revents != 0) {
        signalfd_siginfo info{};
        if (read(signals_.Get(), &info, sizeof(info)) != sizeof(info)) continue;
        *what = strsignal(static_cast<int>(info.ssi_signo));
        return Wake::kSignal;
      }
      if (fds[1].revents != 0) return Wake::kDatasetEnded;
      uint64_t count = 0;
      if (read(control_lost_.Get(), &count, sizeof(count)) > 0) return Wake::kControlLost;
    }
  }

 private:
  static void Raise(const base::UniqueFd& event) {
    uint64_t const one = 1;
    (void)!write(event.Get(), &one, sizeof(one));
  }

  base::UniqueFd signals_;
  const base::UniqueFd dataset_ended_;
  const base::UniqueFd control_lost_;
};

// The hard limit is the administrator's word; the soft one is for programs that use select(2).
void RaiseDescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// The mount answers when a stat of it does.
base::Status AnswersAt(const std::string& mount_point) {
  struct stat st {};
  if (stat(mount_point.c_str(), &st) != 0) return base::FailErrno(errno, mount_point);
  return {};
}

void ServeUntilEnded(ServingStack& stack, WakeUps& wake_ups, base::Journal& journal) {
  int remounts = 0;
  auto period_start = std::chrono::steady_clock::now();
  for (;;) {
    std::string what;
    switch (wake_ups.Wait(&what)) {
      case Wake::kSignal:
        journal.Info("ending: " + what);
        return;
      case Wake::kDatasetEnded:
        journal.Info("ending: unmounted");
        return;
      case Wake::kControlLost:
        if (auto const now = std::chrono::steady_clock::now();
            now - period_start > kControlRemountsPeriod) {
          remounts = 0;
          period_start = now;
        }
        if (remounts++ >= kControlRemountsMax) {
          journal.Error("control mount lost again; it stays away, the dataset is still served");
          break;
        }
        base::Status const mounted = stack.RemountControl();
        journal.Warning(mounted ? "control mount lost; mounted again"
                                : "control mount lost: " + mounted.error().message);
        break;
    }
  }
}

}  // namespace

DaemonEnd RunDaemon(DaemonInputs inputs, const std::function<void(const base::Status&)>& ready) {
  std::string const mount_point = inputs.config.mount_point;
  std::string const source = inputs.config.source;
  DatasetLock* const lock = inputs.lock;
  auto opened = base::Journal::Open(
      {.log_path = inputs.config.log.empty() ? inputs.dataset_folders[0] + "/log" : inputs.config.log});
  if (!opened) {
    ready(base::Wrap(std::move(opened.error()), "log"));
    return {.exit_status = 1};
  }
  std::unique_ptr<base::Journal> journal = std::move(*opened);
  RaiseDescriptorLimit();
  WakeUps wake_ups(inputs.config.foreground ? HangUp::kEnds : HangUp::kIsIgnored);
  auto stack = std::make_unique<ServingStack>(std::move(inputs), *journal);
  base::Status status = stack->Build();
  if (status) {
    stack->Serve([&] { wake_ups.DatasetEnded(); }, [&] { wake_ups.ControlLost(); });
    status = AnswersAt(mount_point);
  }
  ready(status);
  if (status) {
    journal->Info("serving " + source + " at " + mount_point + ", version " + kVersion);
    ServeUntilEnded(*stack, wake_ups, *journal);
  } else {
    journal->Error(status.error().message);
  }
  if (lock != nullptr) lock->MarkEnding();
  DaemonEnd const end{.exit_status = status ? 0 : 1, .thread_left = !stack->End()};
  if (end.thread_left) {
    // The thread still refers to both; they go with the process.
    journal->Warning("ended; a thread is left in the origin");
    (void)stack.release();
    (void)journal.release();
  } else {
    journal->Info("ended");
  }
  return end;
}

}  // namespace stokefs::tools
