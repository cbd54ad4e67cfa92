// The thread "hints": what a hint waits for, and what is done behind the writers' backs.
#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <utility>

#include "base/executor.h"
#include "base/file.h"
#include "hints/hint_book.h"

namespace stokefs::hints {
namespace {

constexpr size_t kBatchCount = 4096;         // of changes told, or of nodes joined, at a time
constexpr double kAverageMovedShare = 0.02;  // half of what the policy tells apart
constexpr size_t kFileBytesMax = size_t{4} << 30;
// In a catalog that changes all the time, joining takes a tenth of a CPU at most.
constexpr int kPauseFactor = 9;

base::TimePoint Now() { return std::chrono::steady_clock::now(); }

}  // namespace

void HintBook::Start() {
  base::MutexLock lock(mu_);
  ended_ = false;
  thread_ = std::thread([this] { Run(); });
}

bool HintBook::Stop(std::chrono::milliseconds limit) {
  signal_.Cancel();
  auto const end = Now() + limit;
  bool ended = false;
  {
    base::MutexLock lock(mu_);
    while (!ended_) {
      auto const left = end - Now();
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

void HintBook::Run() {
  base::PrepareThread("hints");
  Load();
  while (!signal_.IsCancelled()) {
    DoWork();
    JoinNodes();
    Tell();
    if (SaveIsDue()) Save();
    signal_.Wait(Pause());
  }
  Save();
  std::deque<std::function<void()>> left;  // dies without the lock
  base::MutexLock lock(mu_);
  left.swap(work_);
  ended_ = true;
  ended_signal_.SignalAll();
}

base::Duration HintBook::Pause() const {
  base::MutexLock lock(mu_);
  if (!work_.empty()) return base::Duration(0);
  if (!changed_.empty() || all_changed_) {
    return std::max(tell_at_ - Now(), base::Duration(std::chrono::milliseconds(1)));
  }
  return values_.Entries().empty() ? base::Duration(std::chrono::hours(1)) : options_.look_period;
}

void HintBook::DoWork() {
  while (!signal_.IsCancelled()) {
    std::function<void()> work;
    {
      base::MutexLock lock(mu_);
      if (work_.empty()) return;
      work = std::move(work_.front());
      work_.pop_front();
    }
    work();
  }
}

void HintBook::Load() {
  if (options_.file.empty()) return;
  auto const bytes = base::ReadFile(options_.file, kFileBytesMax);
  if (!bytes && bytes.error().Errno() == ENOENT) return;
  auto const entries = bytes ? ImportanceValues::Decode(*bytes)
                             : base::Result<std::vector<ImportanceValues::Entry>>(
                                   tl::unexpected<base::Error>(bytes.error()));
  if (!entries) {
    journal_.Warning("the kept importances are damaged and put aside: " + entries.error().message);
    rename(options_.file.c_str(), (options_.file + ".damaged").c_str());
    return;
  }
  base::MutexLock lock(mu_);
  values_.AddMissing(*entries);  // what came by now is newer
}

bool HintBook::SaveIsDue() const {
  base::MutexLock lock(mu_);
  if (!unsaved_since_) return false;
  return Now() - changed_at_ >= options_.save_after ||
         Now() - *unsaved_since_ >= options_.save_at_latest;
}

void HintBook::Save() {
  if (options_.file.empty()) return;
  std::string bytes;
  {
    base::MutexLock lock(mu_);
    if (!unsaved_since_) return;
    unsaved_since_.reset();
    bytes = values_.Encode();
  }
  if (auto const saved = base::WriteFileAtomically(options_.file, bytes); !saved) {
    journal_.Warning("importances could not be kept: " + saved.error().message);
  }
}

// What ids stand for now: after a load, and when files got new versions.
void HintBook::JoinNodes() {
  {
    base::MutexLock lock(mu_);
    if (values_.Entries().empty()) return;
  }
  uint64_t const changes = catalog_.ChangeCount();
  if (changes == joined_changes_ || Now() < next_join_ || !catalog_.Summary()) return;
  auto const start = Now();
  std::vector<SamplePlace> batch;
  auto const join = [&] {
    base::MutexLock lock(mu_);
    for (const SamplePlace& sample : batch) {
      auto const place = values_.Find(sample.id);
      if (!place || values_.Entries()[*place].node == sample.node) continue;
      values_.SetNode(*place, sample.node);
      MarkChanged(*place);
    }
    batch.clear();
  };
  (void)catalog_.VisitSamples("", [&](const cache::CatalogSample& sample) {
    batch.push_back({cache::MakeSampleId(sample.path), sample.node});
    if (batch.size() == kBatchCount) join();
    return !signal_.IsCancelled();
  });
  join();
  joined_changes_ = changes;
  next_join_ = Now() + kPauseFactor * (Now() - start);
}

void HintBook::Tell() {
  std::vector<uint32_t> places;
  double average = 0;
  {
    base::MutexLock lock(mu_);
    if ((changed_.empty() && !all_changed_) || Now() < tell_at_) return;
    average = values_.Average();
    if (all_changed_ || std::abs(average - told_average_) > kAverageMovedShare * told_average_) {
      told_average_ = average;
      changed_.resize(values_.Entries().size());
      std::iota(changed_.begin(), changed_.end(), 0U);
    }
    average = told_average_;
    places.swap(changed_);
    all_changed_ = false;
  }
  if (listener_ == nullptr) return;
  std::span<const uint32_t> left(places);
  while (!left.empty() && !signal_.IsCancelled()) {
    size_t const count = std::min(left.size(), kBatchCount);
    TellPlaces(left.first(count), average);
    left = left.subspan(count);
  }
}

void HintBook::TellPlaces(std::span<const uint32_t> places, double average) {
  std::vector<cache::ImportanceChange> changes;
  changes.reserve(places.size());
  {
    base::MutexLock lock(mu_);
    for (uint32_t const place : places) {
      ImportanceValues::Entry const& entry = values_.Entries()[place];
      if (entry.node == cache::kNoNode) continue;
      double const relative = average > 0 ? double{entry.value} / average : 0;
      changes.push_back({entry.node, static_cast<float>(relative)});
    }
  }
  if (!changes.empty()) listener_->OnImportance(changes);
}

}  // namespace stokefs::hints
