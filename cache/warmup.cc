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
struct Warmup::Flights : std::enable_shared_from_this<Warmup::Flights> {
  // A sample some of whose blocks are in flight.
  struct Sample {
    uint32_t left = 1;  // blocks, and one while more are being asked for
    bool has_failed = false;
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
    ++report.samples_failed;
    if (report.failures.size() < kFailureCountMax) report.failures.push_back(sample.why);
  }

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

base::Result<WarmupReport> Warmup::Run(const std::vector<std::string>& paths, WarmupPlace& place,
                                       base::JobSignal& signal, const Watcher& watch) const {
  auto const flights = std::make_shared<Flights>();
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
  bool const is_through = Fetch(wanted, place, signal, *flights, tell);
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

// False when it was cancelled.
bool Warmup::Fetch(const std::vector<Wanted>& wanted, const WarmupPlace& place,
                   base::JobSignal& signal, Flights& flights,
                   const std::function<void()>& tell) const {
  auto const shared = flights.shared_from_this();
  // Waits until `bytes` more may fly (0: until none flies). False: cancelled.
  auto const await = [&](uint64_t bytes) {
    auto told = std::chrono::steady_clock::now();
    for (;;) {
      if (signal.IsCancelled()) return false;
      {
        base::MutexLock lock(flights.mu);
        if (flights.count == 0) return true;
        bool const fits =
            flights.bytes + bytes <= options_.window_bytes && flights.count < options_.window_count;
        if (bytes > 0 && fits) return true;
      }
      signal.Wait(kTellPeriod);
      if (auto const now = std::chrono::steady_clock::now(); now - told >= kTellPeriod) {
        tell();
        told = now;
      }
    }
  };
  uint64_t room_bytes = 0, asked_bytes = kRoomCheckBytes;
  auto last_tell = std::chrono::steady_clock::now();
  for (Wanted const& sample : wanted) {
    SampleBlocks const blocks{sample.node, sample.size_bytes, options_.extent_bytes};
    auto const progress = std::make_shared<Flights::Sample>();
    for (uint32_t i = 0; i < blocks.Count(); ++i) {
      if (place.Holds(blocks.Key(i))) continue;
      uint64_t const size_bytes = blocks.SizeOf(i);
      if (!await(size_bytes)) return false;
      if (asked_bytes >= kRoomCheckBytes || room_bytes < size_bytes) {
        uint64_t under_way_bytes = 0;
        {
          base::MutexLock lock(flights.mu);
          under_way_bytes = flights.bytes;
        }
        room_bytes = place.RoomBytes();
        room_bytes -= std::min(room_bytes, under_way_bytes);
        asked_bytes = 0;
      }
      if (room_bytes < size_bytes) {
        base::MutexLock lock(flights.mu);
        flights.report.is_full = true;
        break;
      }
      room_bytes -= size_bytes;
      asked_bytes += size_bytes;
      flights.Take(size_bytes, *progress);
      fetcher_.Fetch(blocks.Key(i), [shared, progress, size_bytes, node = sample.node,
                                     catalog = &catalog_](base::Status status) {
        shared->Land(size_bytes, *progress, status, [&] {
          auto const file = catalog->LocateAtOrigin(node);
          return file ? file->path : std::string("?");
        });
      });
    }
    {
      base::MutexLock lock(flights.mu);
      if (flights.report.is_full) break;
    }
    flights.AllAsked(*progress);
    if (auto const now = std::chrono::steady_clock::now(); now - last_tell >= kTellPeriod) {
      tell();
      last_tell = now;
    }
  }
  return await(0);
}

}  // namespace stokefs::cache
