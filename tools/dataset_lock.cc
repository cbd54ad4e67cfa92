#include "tools/dataset_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <future>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <utility>

#include "tools/exit_status.h"
#include "tools/process_state.h"
#include "tools/registry.h"

namespace stokefs::tools {
namespace {

using Json = nlohmann::json;

struct Holder {
  pid_t pid = 0;
  uint64_t start_ticks = 0;
  std::string mount_point;
  bool ending = false;
};

std::optional<Holder> ReadHolder(const std::string& lock_path) {
  auto const text = base::ReadFile(lock_path);
  if (!text) return {};
  try {
    Json const json = Json::parse(*text);
    return Holder{.pid = json.at("pid").get<pid_t>(),
                  .start_ticks = json.at("start_ticks").get<uint64_t>(),
                  .mount_point = json.at("mount_point").get<std::string>(),
                  .ending = json.at("state") != "running"};
  } catch (const Json::exception&) {
    return {};
  }
}

bool IsEnding(const Holder& holder) {
  if (holder.ending) return true;
  auto const process = ReadProcess(holder.pid);
  return !process || process->start_ticks != holder.start_ticks || process->Dead() ||
         process->fatal_signal;
}

// Between the flock and its first line a new holder is nameless for a moment.
constexpr auto kNamelessMax = std::chrono::seconds(1);
constexpr auto kPause = std::chrono::milliseconds(20);

constexpr auto kWriteLimit = std::chrono::milliseconds(300);

// Runs `work`, whose every reference it owns, on a thread that is left behind after `limit`.
void DoWithin(std::chrono::milliseconds limit, std::function<void()> work) {
  auto const done = std::make_shared<std::promise<void>>();
  std::future<void> const ended = done->get_future();
  std::thread([done, work = std::move(work)]() mutable {
    work();
    work = nullptr;  // lets go of the locks before anybody goes on
    done->set_value();
  }).detach();
  ended.wait_for(limit);
}

base::Status WaitForFlock(int fd, const std::string& path, const DatasetLock::Options& options) {
  auto const start = std::chrono::steady_clock::now();
  bool told = false;
  while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno != EWOULDBLOCK) return base::FailErrno(errno, path);
    auto const waited = std::chrono::steady_clock::now() - start;
    auto const holder = ReadHolder(path);
    if (holder ? !IsEnding(*holder) : waited > kNamelessMax) {
      return Refuse("the cache of " + options.source + " (" + path + ") is held by " +
                    (holder ? "process " + std::to_string(holder->pid) + ", which mounts it at " +
                                  holder->mount_point
                            : "another process") +
                    "; unmount that, or give another --cache-dir");
    }
    if (waited > options.wait)
      return NoAnswer("the cache of " + options.source + " (" + path + ") is still held by " +
                      (holder ? "process " + std::to_string(holder->pid) : "another process") +
                      ", which is ending");
    if (holder && !told) {
      options.notice("waiting for process " + std::to_string(holder->pid) +
                     " to end, which held the cache of " + options.source);
      told = true;
    }
    std::this_thread::sleep_for(kPause);
  }
  return {};
}

}  // namespace

std::string DatasetFolder(const std::string& cache_dir, const std::string& source) {
  return cache_dir + "/" + MountId(source);
}

bool IsHolderEnding(const std::string& lock_path) {
  auto const holder = ReadHolder(lock_path);
  return holder && IsEnding(*holder);
}

base::Result<std::unique_ptr<DatasetLock>> DatasetLock::Acquire(const Options& options) {
  std::unique_ptr<DatasetLock> lock(new DatasetLock);
  lock->held_->mount_point = options.mount_point;
  for (const std::string& cache_dir : options.cache_dirs) {
    std::string const folder = DatasetFolder(cache_dir, options.source);
    if (base::Status made = base::MakeFolders(folder, 0700); !made)
      return base::Wrap(made.error(), "cache-dir");
    std::string const path = folder + "/lock";
    base::UniqueFd fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd.Valid()) return base::FailErrno(errno, "cache-dir: " + path);
    base::Status const held = WaitForFlock(fd.Get(), path, options);
    if (!held) return Pass(held.error());
    lock->folders_.push_back(folder);
    lock->held_->locks.push_back(std::move(fd));
    WriteState(*lock->held_, "running");
  }
  return lock;
}

// One write of one short line, so that readers see the old one or the new one; the blanks cover
// what is longer in "running" than in "ending" until the file is cut.
void DatasetLock::WriteState(const Held& held, const char* state) {
  auto const self = ReadProcess(getpid());
  Json const json = {{"pid", getpid()},
                     {"start_ticks", self ? self->start_ticks : 0},
                     {"mount_point", held.mount_point},
                     {"state", state}};
  std::string const text = json.dump(-1, ' ', true, Json::error_handler_t::replace) + "    \n";
  for (const base::UniqueFd& fd : held.locks) {
    if (pwrite(fd.Get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()) ||
        ftruncate(fd.Get(), static_cast<off_t>(text.size())) != 0)
      return;  // a full disk: others then see a nameless holder and are refused
  }
}

void DatasetLock::MarkEnding() {
  if (held_ == nullptr) return;
  DoWithin(kWriteLimit, [held = held_] { WriteState(*held, "ending"); });
}

void DatasetLock::Unlock() {
  if (held_ == nullptr) return;
  DoWithin(kWriteLimit, [held = std::exchange(held_, nullptr)] {
    for (const base::UniqueFd& fd : held->locks) {
      if (ftruncate(fd.Get(), 0) != 0) continue;
    }
    for (const base::UniqueFd& fd : held->locks) flock(fd.Get(), LOCK_UN);
  });
}

}  // namespace stokefs::tools
