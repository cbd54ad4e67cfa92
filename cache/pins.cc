#include "cache/pins.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "base/executor.h"
#include "cache/path_list.h"
#include "cache/sample_blocks.h"

namespace stokefs::cache {
namespace {

// Keys handed to the disk tier at a time: it merges them into a sorted list.
constexpr size_t kBatchCount = 65536;
constexpr uint64_t kLookCount = 4096;  // samples between two looks at the signal
// In a catalog that changes all the time, going over the pins takes a tenth of a CPU at most.
constexpr int kPauseFactor = 9;

using SteadyTime = std::chrono::steady_clock;

SteadyTime::time_point Now() { return SteadyTime::now(); }

}  // namespace

Pins::Pins(Options options, const Catalog& catalog, SteeredDisk& disk, const Warmup& warmup,
           base::Journal& journal)
    : options_(std::move(options)),
      catalog_(catalog),
      disk_(disk),
      warmup_(warmup),
      journal_(journal) {}

Pins::~Pins() { Stop(std::chrono::hours(24)); }

void Pins::Start() {
  std::vector<std::string> paths;
  if (!options_.file.empty()) {
    auto loaded = LoadPathList(options_.file);
    if (loaded && *loaded) paths = std::move(**loaded);
    if (!loaded) {
      journal_.Warning("the list of pins is damaged and put aside: " + loaded.error().message);
      rename(options_.file.c_str(), (options_.file + ".damaged").c_str());
    }
  }
  std::sort(paths.begin(), paths.end());
  base::MutexLock lock(mu_);
  paths_ = std::move(paths);
  ended_ = false;
  thread_ = std::thread([this] { Run(); });
}

bool Pins::Stop(std::chrono::milliseconds limit) {
  signal_.Cancel();
  auto const end = std::chrono::steady_clock::now() + limit;
  bool ended = false;
  {
    base::MutexLock lock(mu_);
    while (!ended_) {
      auto const left = end - std::chrono::steady_clock::now();
      if (left.count() <= 0) break;
      ended_signal_.WaitFor(mu_, left);
    }
    ended = ended_;
  }
  if (!thread_.joinable()) return true;
  if (ended) {
    thread_.join();
  } else {
    thread_.detach();
  }
  return ended;
}

base::Status Pins::Add(const std::vector<std::string>& paths) {
  base::MutexLock list_lock(list_mu_);
  std::vector<std::string> all = Paths();
  all.insert(all.end(), paths.begin(), paths.end());
  return Save(std::move(all));
}

base::Status Pins::Remove(const std::vector<std::string>& paths) {
  base::MutexLock list_lock(list_mu_);
  std::vector<std::string> left = Paths();
  for (std::string const& path : paths) {
    auto const found = std::find(left.begin(), left.end(), path);
    if (found == left.end())
      return base::Fail(std::errc::no_such_file_or_directory, path + " is not pinned");
    left.erase(found);
  }
  if (auto saved = Save(left); !saved) return saved;
  // What another pin covers stays. A catalog that does not know the path yet has pinned nothing.
  for (std::string const& path : paths) {
    std::vector<BlockKey> const keys = KeysBelow(path, left);
    if (!keys.empty()) disk_.Unpin(keys);
  }
  return {};
}

base::Status Pins::Save(std::vector<std::string> paths) {
  std::sort(paths.begin(), paths.end());
  paths.erase(std::unique(paths.begin(), paths.end()), paths.end());
  if (!options_.file.empty()) {
    auto saved = paths.empty() ? RemovePathList(options_.file) : SavePathList(options_.file, paths);
    if (!saved) return saved;
  }
  {
    base::MutexLock lock(mu_);
    paths_ = std::move(paths);
    ++changes_;
  }
  signal_.Wake();
  return {};
}

std::vector<std::string> Pins::Paths() const {
  base::MutexLock lock(mu_);
  return paths_;
}

bool Pins::Covers(std::string_view path) const {
  base::MutexLock lock(mu_);
  return std::any_of(paths_.begin(), paths_.end(),
                     [&](const std::string& pin) { return IsAtOrBelow(path, pin); });
}

std::optional<WarmupReport> Pins::Fetching() const {
  base::MutexLock lock(mu_);
  return fetching_;
}

base::Result<std::vector<PinShare>> Pins::Shares(base::JobSignal& signal) const {
  std::vector<PinShare> shares;
  for (std::string const& path : Paths()) {
    PinShare share{.path = path, .error = {}};
    auto const visited = catalog_.VisitSamples(path, [&](const CatalogSample& sample) {
      SampleBlocks const blocks{sample.node, sample.size_bytes, options_.extent_bytes};
      ++share.samples;
      share.bytes += sample.size_bytes;
      uint32_t held = 0;
      for (uint32_t i = 0; i < blocks.Count(); ++i) {
        if (!disk_.Holds(blocks.Key(i))) continue;
        ++held;
        share.bytes_on_disk += blocks.SizeOf(i);
      }
      if (held == blocks.Count()) ++share.samples_on_disk;
      return share.samples % kLookCount != 0 || !signal.IsCancelled();
    });
    if (!visited) share.error = visited.error();
    if (signal.IsCancelled()) return base::Fail(std::errc::operation_canceled, "cancelled");
    shares.push_back(std::move(share));
  }
  return shares;
}

std::vector<BlockKey> Pins::KeysBelow(const std::string& path,
                                      const std::vector<std::string>& but) const {
  std::vector<BlockKey> keys;
  (void)catalog_.VisitSamples(path, [&](const CatalogSample& sample) {
    bool const is_covered = std::any_of(but.begin(), but.end(), [&](const std::string& pin) {
      return IsAtOrBelow(sample.path, pin);
    });
    SampleBlocks const blocks{sample.node, sample.size_bytes, options_.extent_bytes};
    for (uint32_t i = 0; !is_covered && i < blocks.Count(); ++i) keys.push_back(blocks.Key(i));
    return !signal_.IsCancelled();
  });
  return keys;
}

// The state that was seen to: which pins, which catalog. While nothing is pinned the thread sleeps.
void Pins::Run() {
  base::PrepareThread("pins");
  uint64_t changes_done = ~uint64_t{0}, catalog_done = 0;
  auto next_retry = SteadyTime::time_point::max();
  while (!signal_.IsCancelled()) {
    uint64_t changes = 0;
    std::vector<std::string> paths;
    {
      base::MutexLock lock(mu_);
      changes = changes_;
      paths = paths_;
    }
    uint64_t const catalog = catalog_.ChangeCount();
    bool const is_due = changes != changes_done || catalog != catalog_done || Now() >= next_retry;
    base::Duration pause = options_.look_period;
    if (is_due && !paths.empty() && catalog_.Summary()) {
      auto const start = Now();
      bool const is_all_there = Apply(paths, changes);
      changes_done = changes;
      catalog_done = catalog;
      next_retry = is_all_there ? SteadyTime::time_point::max() : Now() + options_.retry_period;
      pause = std::max(pause, kPauseFactor * (Now() - start));
    }
    signal_.Wait(paths.empty() ? base::Duration(std::chrono::hours(1)) : pause);
  }
  base::MutexLock lock(mu_);
  ended_ = true;
  ended_signal_.SignalAll();
}

// False when something could not be fetched and is worth another try.
bool Pins::Apply(const std::vector<std::string>& paths, uint64_t changes) {
  // A path that is not there (any more) must not keep the others from what they need.
  std::vector<std::string> known;
  for (std::string const& path : paths) {
    if (catalog_.FindPath(path)) known.push_back(path);
  }
  if (known.empty() || !PinBelow(known, changes)) return true;
  DiskPlace place(disk_, DiskPlace::Room::kAny);
  auto const report = warmup_.Run(known, place, signal_, [this](const WarmupReport& now) {
    base::MutexLock lock(mu_);
    fetching_ = now;
  });
  {
    base::MutexLock lock(mu_);
    fetching_.reset();
  }
  if (!report) return report.error().code == std::errc::operation_canceled;
  if (report->samples_failed > 0) {
    journal_.Warning(
        "pinned samples could not be fetched: " + std::to_string(report->samples_failed) +
        ", such as " + report->failures.front());
  }
  if (report->samples_lost > 0) {
    journal_.Warning("pinned samples do not fit on the disks: " +
                     std::to_string(report->samples_lost));
  }
  return report->samples_failed == 0;
}

// False when it is no longer worth going on.
bool Pins::PinBelow(const std::vector<std::string>& paths, uint64_t changes) {
  std::vector<BlockKey> keys;
  bool goes_on = true;
  for (std::string const& path : WithoutNested(paths)) {
    (void)catalog_.VisitSamples(path, [&](const CatalogSample& sample) {
      SampleBlocks const blocks{sample.node, sample.size_bytes, options_.extent_bytes};
      for (uint32_t i = 0; i < blocks.Count(); ++i) keys.push_back(blocks.Key(i));
      if (keys.size() >= kBatchCount) {
        goes_on = Pin(keys, changes);
        keys.clear();
      }
      return goes_on;
    });
  }
  return goes_on && Pin(keys, changes);
}

// False, and nothing is pinned, when the list has changed: it may no longer cover these.
bool Pins::Pin(const std::vector<BlockKey>& keys, uint64_t changes) {
  base::MutexLock list_lock(list_mu_);
  {
    base::MutexLock lock(mu_);
    if (changes_ != changes) return false;
  }
  if (!keys.empty()) disk_.Pin(keys);
  return !signal_.IsCancelled();
}

}  // namespace stokefs::cache
