#include "cache/warmup.h"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

#include "base/sync.h"
#include "cache/path_list.h"
#include "cache/sample_blocks.h"

namespace stokefs::cache {
namespace {

using std::chrono::milliseconds;

constexpr size_t kFailureCountMax = 5;
constexpr milliseconds kTellPeriod(100);
// The fetcher takes no more: its queue is a second's work at most.
constexpr milliseconds kRetryPeriod(10);
// How much is fetched between two looks at the room that is left.
constexpr uint64_t kRoomCheckBytes = 4u << 20;
// Samples looked at between two looks at the signal.
constexpr uint64_t kLookCount = 4096;

tl::unexpected<base::Error> Cancelled() {
  return base::Fail(std::errc::operation_canceled, "cancelled");
}

}  // namespace

// What is in flight and what came of it; shared with the fetches' callbacks, which may come after
// the warm-up was cancelled. Lock: mu_, a leaf but for the signal's.
struct Warmup::Flights {
  explicit Flights(const WarmupPlace& place) : is_in_memory(place.IsMemory()) {}

  // A sample some of whose blocks are in flight.
  struct Sample {
    uint32_t left = 1;  // blocks, and one while more are being asked for
    bool has_failed = false;
    bool is_left_out = false;  // memory is full: no failure of the sample
    std::string why;
  };

  // `signal` is not touched any more once this was called.
  void Abandon() EXCLUDES(mu) {
    base::MutexLock lock(mu);
    signal = nullptr;
  }

  void Take(uint64_t size_bytes, Sample& sample) EXCLUDES(mu) {
    base::MutexLock lock(mu);
    ++count;
    bytes += size_bytes;
    ++sample.left;
  }
  void Land(uint64_t size_bytes, Sample& sample, const base::Status& status,
            const std::function<std::string()>& path) EXCLUDES(mu) {
    std::string const why = status ? "" : path() + ": " + status.error().message;
    base::MutexLock lock(mu);
    --count;
    bytes -= size_bytes;
    if (status) {
      report.bytes_fetched += size_bytes;
    } else {
      sample.has_failed = true;
      sample.why = why;
      bool const is_no_room = status.error().code == std::errc::not_enough_memory;
      if (is_no_room && is_in_memory) sample.is_left_out = report.is_full = true;
    }
    Leave(sample);
    if (signal != nullptr) signal->Wake();
  }
  void AllAsked(Sample& sample) EXCLUDES(mu) {
    base::MutexLock lock(mu);
    Leave(sample);
  }
  void Leave(Sample& sample) REQUIRES(mu) {
    if (--sample.left > 0) return;
    if (!sample.has_failed) {
      ++report.samples_fetched;
      return;
    }
    if (sample.is_left_out) return;
    ++report.samples_failed;
    if (report.failures.size() < kFailureCountMax) report.failures.push_back(sample.why);
  }

  const bool is_in_memory;
  base::Mutex mu;
  base::JobSignal* signal GUARDED_BY(mu) = nullptr;
  size_t count GUARDED_BY(mu) = 0;
  uint64_t bytes GUARDED_BY(mu) = 0;
  WarmupReport report GUARDED_BY(mu);
};

base::Status AwaitWholeCatalog(const Catalog& catalog, base::JobSignal& signal,
                               const std::function<void()>& tell) {
  while (!catalog.Summary()) {
    if (signal.IsCancelled()) return Cancelled();
    tell();
    signal.Wait(kTellPeriod);
  }
  return {};
}

// Asks for what is missing, sample by sample, as far as window and room go.
class Warmup::Asking {
 public:
  Asking(const Warmup& warmup, const WarmupPlace& place, base::JobSignal& signal,
         std::shared_ptr<Flights> flights, const std::function<void()>& tell)
      : warmup_(warmup),
        place_(place),
        signal_(signal),
        flights_(std::move(flights)),
        tell_(tell) {}

  // False when it was cancelled.
  bool AskForAll(const std::vector<Wanted>& wanted) {
    for (Wanted const& sample : wanted) {
      Outcome const outcome = AskFor(sample);
      if (outcome == Outcome::kCancelled) return false;
      if (outcome == Outcome::kFull) break;
    }
    return AwaitFlights(0);
  }

 private:
  enum class Outcome : uint8_t { kAsked, kFull, kCancelled };

  Outcome AskFor(const Wanted& sample) {
    SampleBlocks const blocks{sample.node, sample.size_bytes, warmup_.options_.extent_bytes};
    auto const progress = std::make_shared<Flights::Sample>();
    for (uint32_t i = 0; i < blocks.Count(); ++i) {
      if (place_.Holds(blocks.Key(i))) continue;
      uint64_t const size_bytes = blocks.SizeOf(i);
      if (!AwaitFlights(size_bytes)) return Outcome::kCancelled;
      if (!HasRoom(size_bytes)) {
        base::MutexLock lock(flights_->mu);
        flights_->report.is_full = true;
        return Outcome::kFull;
      }
      if (!Ask(blocks.Key(i), size_bytes, progress)) return Outcome::kCancelled;
      TellNowAndThen();
    }
    flights_->AllAsked(*progress);
    return Outcome::kAsked;
  }

  // False when it was cancelled before the fetcher took it.
  bool Ask(BlockKey key, uint64_t size_bytes, const std::shared_ptr<Flights::Sample>& sample) {
    auto const done = [flights = flights_, sample, size_bytes, key,
                       catalog = &warmup_.catalog_](const base::Status& status) {
      flights->Land(size_bytes, *sample, status, [&] {
        auto const file = catalog->LocateAtOrigin(key.node);
        return file ? file->path : std::string("?");
      });
    };
    flights_->Take(size_bytes, *sample);
    while (!warmup_.fetcher_.Fetch(key, done)) {
      if (signal_.IsCancelled()) return false;
      TellNowAndThen();
      signal_.Wait(kRetryPeriod);
    }
    return true;
  }

  // Waits until `bytes` more may fly (0: until none flies). False: cancelled.
  bool AwaitFlights(uint64_t bytes) {
    Options const& options = warmup_.options_;
    for (;;) {
      if (signal_.IsCancelled()) return false;
      {
        base::MutexLock lock(flights_->mu);
        if (flights_->count == 0) return true;
        bool const fits = flights_->bytes + bytes <= options.window_bytes &&
                          flights_->count < options.window_count;
        if (bytes > 0 && fits) return true;
      }
      TellNowAndThen();
      signal_.Wait(kTellPeriod);
    }
  }

  bool HasRoom(uint64_t size_bytes) {
    uint64_t under_way_bytes = 0;
    {
      base::MutexLock lock(flights_->mu);
      if (flights_->report.is_full) return false;
      under_way_bytes = flights_->bytes;
    }
    if (asked_bytes_ >= kRoomCheckBytes || room_bytes_ < size_bytes) {
      room_bytes_ = place_.RoomBytes();
      room_bytes_ -= std::min(room_bytes_, under_way_bytes);
      asked_bytes_ = 0;
    }
    if (room_bytes_ < size_bytes) return false;
    room_bytes_ -= size_bytes;
    asked_bytes_ += size_bytes;
    return true;
  }

  void TellNowAndThen() {
    auto const now = std::chrono::steady_clock::now();
    if (now - last_tell_ < kTellPeriod) return;
    last_tell_ = now;
    tell_();
  }

  const Warmup& warmup_;
  const WarmupPlace& place_;
  base::JobSignal& signal_;
  const std::shared_ptr<Flights> flights_;
  const std::function<void()>& tell_;
  uint64_t room_bytes_ = 0, asked_bytes_ = kRoomCheckBytes;  // known room, and asked for since then
  std::chrono::steady_clock::time_point last_tell_;
};

base::Result<WarmupReport> Warmup::Run(const std::vector<std::string>& paths, WarmupPlace& place,
                                       base::JobSignal& signal, const Watcher& watch) const {
  auto const flights = std::make_shared<Flights>(place);
  auto const tell = [&] {
    WarmupReport report;
    {
      base::MutexLock lock(flights->mu);
      report = flights->report;
    }
    watch(report);
  };
  auto const enter = [&](WarmupPhase phase) {
    {
      base::MutexLock lock(flights->mu);
      flights->report.phase = phase;
    }
    tell();
  };
  if (auto whole = AwaitWholeCatalog(catalog_, signal, tell); !whole) {
    return tl::unexpected<base::Error>(whole.error());
  }
  while (!place.IsReady()) {
    if (signal.IsCancelled()) return Cancelled();
    tell();
    signal.Wait(kTellPeriod);
  }
  enter(WarmupPhase::kLooking);
  WarmupReport found;
  std::vector<Wanted> wanted;
  if (auto looked = Look(paths, place, signal, found, wanted); !looked) {
    return tl::unexpected<base::Error>(looked.error());
  }
  {
    base::MutexLock lock(flights->mu);
    flights->report = found;
    flights->signal = &signal;
  }
  enter(WarmupPhase::kFetching);
  bool const is_through = Asking(*this, place, signal, flights, tell).AskForAll(wanted);
  flights->Abandon();
  if (!is_through) return Cancelled();
  enter(WarmupPhase::kFlushing);
  place.Flush();
  uint64_t there = 0;
  for (Wanted const& sample : wanted) {
    SampleBlocks const blocks{sample.node, sample.size_bytes, options_.extent_bytes};
    uint32_t held = 0;
    while (held < blocks.Count() && place.Holds(blocks.Key(held))) ++held;
    if (held == blocks.Count()) ++there;
  }
  base::MutexLock lock(flights->mu);
  WarmupReport& report = flights->report;
  report.phase = WarmupPhase::kEnded;
  report.samples_lost = report.samples_fetched > there ? report.samples_fetched - there : 0;
  return report;
}

base::Status Warmup::Look(const std::vector<std::string>& paths, const WarmupPlace& place,
                          base::JobSignal& signal, WarmupReport& report,
                          std::vector<Wanted>& wanted) const {
  for (std::string const& path :
       WithoutNested(paths.empty() ? std::vector<std::string>{""} : paths)) {
    auto const visited = catalog_.VisitSamples(path, [&](const CatalogSample& sample) {
      SampleBlocks const blocks{sample.node, sample.size_bytes, options_.extent_bytes};
      ++report.samples;
      report.bytes += sample.size_bytes;
      uint32_t held = 0;
      while (held < blocks.Count() && place.Holds(blocks.Key(held))) ++held;
      if (held == blocks.Count()) {
        ++report.samples_there;
        report.bytes_there += sample.size_bytes;
      } else {
        wanted.push_back({MakeSampleId(sample.path), sample.node, sample.size_bytes});
      }
      return report.samples % kLookCount != 0 || !signal.IsCancelled();
    });
    if (!visited) {
      return base::Fail(visited.error().code, path + ": " + visited.error().message);
    }
    if (signal.IsCancelled()) return Cancelled();
  }
  std::sort(wanted.begin(), wanted.end(),
            [](const Wanted& a, const Wanted& b) { return a.id < b.id; });
  return {};
}

}  // namespace stokefs::cache
