// The inside of the read path: read_path.cc takes reads in, read_path_fetching.cc gets them bytes,
// read_path_prefetch.cc takes wishes in.
//
// Lock order: Impl::mu_ before the memory tier's. With mu_ held nothing else is called: neither a
// source, nor a `done`, nor an observer's queue, nor the sink (but for its WantsPause). What has to
// be called is gathered as Effects.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/sync.h"
#include "cache/fetch_table.h"
#include "cache/parked_reads.h"
#include "cache/read_answers.h"
#include "cache/read_parts.h"
#include "cache/read_path.h"
#include "cache/source_calls.h"

namespace stokefs::cache {

class ReadPath::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(const Options& options, const BlockLayout& layout, MemoryTier& memory,
       const std::vector<Source>& sources, std::vector<ReadEventQueue*> observers,
       const base::Clock& clock);

  ReadTicket Read(const ReadRequest& request, ReadDone done);
  size_t Prefetch(std::span<const BlockKey> keys, RoomRule rule, PrefetchDone done);
  void Cancel(ReadTicket ticket);
  bool IsParked(ReadTicket ticket) const;
  void Tick();
  void Shutdown(std::errc error);
  const ReadStatistics& Statistics() const { return answers_.statistics(); }
  std::vector<ParkedRead> Parked(size_t count_max) const;
  size_t ParkedCount() const;

 private:
  struct Told {  // what became of a prefetch
    FetchListener listener;
    BlockKey key;
    base::Status status;
  };
  struct Effects {  // what is left to do once mu_ is let go of
    FetchEffects fetches;
    std::vector<ReadAnswer> answers;
    std::vector<Told> told;
  };
  struct Wish;

  void AnswerHit(const ReadRequest& request, const ReadDone& done, Lease lease,
                 base::TimePoint started);
  void FindParts(PendingRead& read);
  ReadTicket Wait(PendingRead read);
  std::optional<base::Error> Admit(PendingRead& read) REQUIRES(mu_);

  void ChooseSources(PendingRead& read) const;
  Wish MakeWish(BlockKey key, RoomRule rule) const;
  bool TakeWish(const Wish& wish, const FetchListener& listener, base::TimePoint now,
                Effects& effects) REQUIRES(mu_);
  void TellSink(const std::vector<SourceAnswer>& answers, const std::vector<uint64_t>& digests)
      EXCLUDES(mu_);
  Effects TakeAnswers(std::vector<SourceAnswer> answers) EXCLUDES(mu_);
  void Settle(Effects& effects, base::TimePoint now) REQUIRES(mu_);
  void Deliver(const FetchOutcome& outcome, FetchWaiter waiter, Effects& effects) REQUIRES(mu_);
  void TellListeners(FetchOutcome& outcome, Effects& effects) REQUIRES(mu_);
  void GiveUp(uint64_t ticket, base::Error error, LeaveReason why, Effects& effects) REQUIRES(mu_);

  void Perform(Effects effects) EXCLUDES(mu_);

  const Options options_;
  const BlockLayout& layout_;
  MemoryTier& memory_;
  const uint64_t memory_bytes_;
  const SourceCalls sources_;
  const base::Clock& clock_;
  ReadAnswers answers_;  // thread-safe
  // 0 until Shutdown, then its errno. Atomic: the hot path asks without the lock; whatever it still
  // answers from memory after that is right as well.
  std::atomic<int> ended_{0};

  mutable base::Mutex mu_;
  FetchTable fetches_ GUARDED_BY(mu_);
  ParkedReads parked_ GUARDED_BY(mu_);
  size_t performing_count_ GUARDED_BY(mu_) = 0;  // threads that call something
  base::CondVar performed_;
};

}  // namespace stokefs::cache
