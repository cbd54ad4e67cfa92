// What makes slow_origin slow and broken: decides when each request is served, and serves late
// ones.
//
// Requests never wait on the thread that takes them: one that is delayed or hung is kept as a
// closure and run by the clerk's own thread when it is due, so that any number can hang at once.
// Thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <iterator>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace stokefs::support {

enum class RequestKind : uint8_t { kLookup, kGetattr, kReadlink, kReaddir, kOpen, kRead };
inline constexpr size_t kRequestKindCount = 6;

class OriginClerk {
 public:
  using Work = std::function<void()>;

  OriginClerk() : thread_([this] { Run(); }) {}

  struct ReadRange {
    uint64_t offset = 0, size = 0;
  };
  // Runs `work` now, later or when released. `range` is what it will read.
  void Submit(RequestKind kind, const std::string& path, ReadRange range, Work work);

  // The errno that requests for the bytes or entries of `path` get; 0: none.
  int Failure(const std::string& path);

  // The errno that every request gets while the origin is away; 0: it is there.
  int Absence() const { return absence_; }

  bool MayBeCached() const { return page_cache_; }

  // How much of a read in a file of `file_size` is given.
  uint64_t Granted(const std::string& path, ReadRange range, uint64_t file_size);

  void CountBytes(uint64_t bytes) { bytes_ += bytes; }

  // Does what a line says and answers "ok", "error: WHY" or JSON. PATH is below the folder shown,
  // without a leading '/' ('.': the folder itself), percent-encoded.
  //   delay_us N           each open and read takes N µs           (0: none)
  //   open_delay_us N      each open takes N µs more: so much a file, however it is read
  //   first_read_delay_us N
  //                        each read of a file's first byte takes N µs more: so much a file, also
  //                        where the kernel has bytes and only opens arrive here
  //   page_cache N         1: the kernel may keep names, attributes and bytes from now on
  //   meta_delay_us N      the same for lookups, stats, listings and links
  //   bandwidth N          the bytes read share a line of N bytes/s (0: endless)
  //   parallel N           N delayed requests are served at once    (0: all)
  //   stall MS EVERY       each EVERYth open or read takes MS ms more (0: none)
  //   hang PATH|*          requests on PATH, or all, are not answered until released
  //   hang_contents PATH   the same for opens, reads and listings of PATH only
  //   release              answers all that hang, and hangs no more
  //   fail ERRNO PATH      open, read and list of PATH fail so
  //   short PATH           reads of PATH give half of what was asked (legal: POSIX lets them)
  //   cut PATH             PATH ends at half of the size that stat tells (a broken origin)
  //   vanish ERRNO         every request fails so, as if the server were gone
  //   heal                 forgets all fail, short, cut and vanish
  //   counters             JSON: requests by kind, reads of a file's first byte, bytes read, hung
  //                        now, and the most that were delayed at once
  //   opened PATH          how often PATH was opened, as a number
  std::string Command(const std::string& line);

  // Answers everything that waits, and ends the thread.
  void Stop();

 private:
  using Clock = std::chrono::steady_clock;
  using Time = Clock::time_point;

  Time Due(RequestKind kind, ReadRange range, Time now);
  bool Hangs(RequestKind kind, const std::string& path) const;
  void ReleaseAll();
  std::string Counters() const;
  void Run();

  std::atomic<uint64_t> counts_[kRequestKindCount] = {};
  std::atomic<uint64_t> first_reads_{0}, bytes_{0};
  std::atomic<bool> page_cache_{false};
  std::atomic<int> absence_{0};
  std::mutex mu_;  // guards everything below but the thread
  std::condition_variable wake_;
  std::multimap<Time, Work> late_;
  size_t most_at_once_ = 0;  // of late_
  std::vector<Work> hung_;
  bool stop_ = false;
  bool hang_all_ = false;
  std::set<std::string> hang_, hang_contents_, short_, cut_;
  std::map<std::string, int> fail_;
  std::map<std::string, uint64_t> opened_;
  std::chrono::microseconds delay_{0}, open_delay_{0}, first_read_delay_{0}, meta_delay_{0};
  std::chrono::milliseconds stall_{0};
  uint64_t stall_every_ = 0, stall_count_ = 0;
  uint64_t bandwidth_ = 0;
  std::vector<Time> lanes_;  // when each of `parallel` is free again
  Time line_free_{};
  std::thread thread_;  // last: runs on the fields above
};

}  // namespace stokefs::support
