// Lock order: Impl::mu_ before the memory tier's. With mu_ held nothing else is called: neither a
// source, nor a `done`, nor an observer's queue.
#include "cache/read_path.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/sync.h"
#include "cache/digest.h"
#include "cache/fetch_table.h"
#include "cache/parked_reads.h"
#include "cache/read_answers.h"

namespace stokefs::cache {
namespace {

constexpr uint64_t kBlockIndexMax = std::numeric_limits<uint32_t>::max();

FetchTable::Options MakeFetchOptions(const ReadPath::Options& options, const MemoryTier& memory,
                                     const std::vector<ReadPath::Source>& sources) {
  FetchTable::Options made;
  for (auto const& [source, deadline] : sources) made.sources.push_back({source->tier(), deadline});
  uint64_t const quarter = memory.Usage().budget_bytes / 4;
  made.fetch_bytes_max = options.fetch_bytes_max > 0 ? options.fetch_bytes_max : quarter;
  return made;
}

// What is left to do once mu_ is let go of.
struct Effects {
  FetchEffects fetches;
  std::vector<ReadAnswer> answers;
};

}  // namespace

class ReadPath::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(const Options& options, const BlockLayout& layout, MemoryTier& memory,
       std::vector<Source> sources, std::vector<ReadEventQueue*> observers,
       const base::Clock& clock)
      : options_(options),
        layout_(layout),
        memory_(memory),
        memory_bytes_(memory.Usage().budget_bytes),
        sources_(std::move(sources)),
        clock_(clock),
        answers_(std::move(observers), clock),
        fetches_(MakeFetchOptions(options_, memory_, sources_), memory_) {
    STOKEFS_CHECK(options_.extent_bytes > 0 && options_.extent_bytes <= kBlockBytesMax);
  }

  ReadTicket Read(const ReadRequest& request, ReadDone done);
  void Cancel(ReadTicket ticket);
  bool IsParked(ReadTicket ticket) const;
  void Tick();
  void Shutdown(std::errc error);
  const ReadStatistics& Statistics() const { return answers_.statistics(); }
  std::vector<ParkedRead> Parked(size_t count_max) const;
  size_t ParkedCount() const;

 private:
  void AnswerHit(const ReadRequest& request, const ReadDone& done, Lease lease,
                 base::TimePoint started);
  void FindParts(PendingRead& read);
  ReadTicket Wait(PendingRead read);
  std::optional<base::Error> Admit(PendingRead& read) REQUIRES(mu_);

  void OnSourceAnswer(FetchTry& answered, base::Status status);
  void Settle(Effects& effects, base::TimePoint now) REQUIRES(mu_);
  void Deliver(FetchOutcome& outcome, FetchWaiter waiter, Effects& effects) REQUIRES(mu_);
  void GiveUp(uint64_t ticket, base::Error error, LeaveReason why, Effects& effects) REQUIRES(mu_);

  void Perform(Effects effects) EXCLUDES(mu_);

  const Options options_;
  const BlockLayout& layout_;
  MemoryTier& memory_;
  const uint64_t memory_bytes_;
  const std::vector<Source> sources_;
  const base::Clock& clock_;
  ReadAnswers answers_;  // thread-safe
  // 0 until Shutdown, then its errno. Atomic: the hot path asks without the lock; whatever it still
  // answers from memory after that is right as well.
  std::atomic<int> ended_{0};

  mutable base::Mutex mu_;
  FetchTable fetches_ GUARDED_BY(mu_);
  ParkedReads parked_ GUARDED_BY(mu_);
  size_t performing_count_ GUARDED_BY(mu_) = 0;  // threads between Settle and the end of Perform
  base::CondVar performed_;
};

ReadTicket ReadPath::Impl::Read(const ReadRequest& request, ReadDone done) {
  base::TimePoint const started = clock_.Now();
  if (int const error = ended_.load(std::memory_order_acquire); error != 0) {
    answers_.Fail(done, {std::errc{error}, "the mount is ending"});
    return {};
  }
  uint64_t const index = request.offset / options_.extent_bytes;
  uint64_t const inside = request.offset % options_.extent_bytes;
  bool const in_one_block = request.size_bytes > 0 && index <= kBlockIndexMax &&
                            request.size_bytes <= options_.extent_bytes - inside;
  if (in_one_block) {  // the hot path: no table, no layout, no lock but the memory tier's
    BlockKey const key{request.node, static_cast<uint32_t>(index)};
    if (std::optional<Lease> lease = memory_.Find(key, request.reader)) {
      AnswerHit(request, done, std::move(*lease), started);
      return {};
    }
  }
  PendingRead read{.request = request, .done = std::move(done), .started = started};
  base::Result<uint64_t> const file_bytes = layout_.FileSize(request.node);
  if (!file_bytes) {
    answers_.Fail(read.done, file_bytes.error());
    return {};
  }
  read.file_bytes = *file_bytes;
  if (base::Status const status = read.Cut({options_.extent_bytes, memory_bytes_}); !status) {
    answers_.Fail(read.done, status.error());
    return {};
  }
  if (!in_one_block) FindParts(read);
  if (read.Complete()) {
    answers_.Answer({std::move(read), std::nullopt});
    return {};
  }
  return Wait(std::move(read));
}

// The range lies in the block of `lease`, or past the end of the file whose last block it is.
void ReadPath::Impl::AnswerHit(const ReadRequest& request, const ReadDone& done, Lease lease,
                               base::TimePoint started) {
  std::span<const std::byte> const block = lease.bytes();
  uint64_t const inside = request.offset % options_.extent_bytes;
  uint64_t const left = inside < block.size() ? block.size() - inside : 0;
  uint64_t const size = std::min<uint64_t>(request.size_bytes, left);
  ReadReply reply;
  if (size > 0) {
    bool whole_end = size == left;
    if (whole_end && block.size() == options_.extent_bytes) {  // is there a next block?
      base::Result<uint64_t> const file_bytes = layout_.FileSize(request.node);
      whole_end = file_bytes && *file_bytes == request.offset + size;
    }
    reply.spans.push_back(block.subspan(inside, size));
    reply.leases.push_back(std::move(lease));
    base::TimePoint const now = clock_.Now();
    answers_.Count({.reader = request.reader,
                    .node = request.node,
                    .offset = request.offset,
                    .size_bytes = static_cast<uint32_t>(size),
                    .whole_end = whole_end,
                    .when = now},
                   now - started);
  }
  done(std::move(reply));
}

void ReadPath::Impl::FindParts(PendingRead& read) {
  for (ReadPart& part : read.parts) {
    if (part.Here()) continue;
    if (auto lease = memory_.Find(part.key, read.request.reader)) part.lease = std::move(*lease);
  }
}

ReadTicket ReadPath::Impl::Wait(PendingRead read) {
  Effects effects;
  ReadTicket ticket;
  std::optional<base::Error> refusal;
  {
    base::MutexLock lock(mu_);
    refusal = Admit(read);
    if (!refusal && !read.Complete()) {
      ticket.value = parked_.Park(std::move(read));
      std::vector<ReadPart> const& parts = parked_.Get(ticket.value)->parts;
      for (uint32_t i = 0; i < parts.size(); ++i) {
        if (parts[i].Here()) continue;
        FetchWaiter const waiter{.ticket = ticket.value, .part = i};
        if (fetches_.Find(parts[i].key) == FetchTable::Presence::kInFlight) {
          answers_.statistics().joined.Add();
          fetches_.Join(parts[i].key, waiter);
        } else {
          fetches_.Start(parts[i].key, parts[i].block_bytes, waiter);
        }
      }
      Settle(effects, clock_.Now());
    }
  }
  if (ticket.value == 0) {
    answers_.Answer({std::move(read), std::move(refusal)});
  } else {
    Perform(std::move(effects));
  }
  return ticket;
}

// An error when the read may not be parked. Also finds what came to memory since it was looked for:
// a fetch publishes before it leaves the table, so that no block is fetched twice.
std::optional<base::Error> ReadPath::Impl::Admit(PendingRead& read) {
  if (int const error = ended_.load(std::memory_order_relaxed); error != 0) {
    return base::Error{std::errc{error}, "the mount is ending"};
  }
  for (ReadPart& part : read.parts) {
    if (part.Here()) continue;
    FetchTable::Presence const presence = fetches_.Find(part.key);
    if (presence == FetchTable::Presence::kOverdue) {
      return base::Error{std::errc::timed_out, "the block is overdue"};
    }
    if (presence == FetchTable::Presence::kInFlight) continue;
    if (auto lease = memory_.Find(part.key, read.request.reader)) part.lease = std::move(*lease);
  }
  if (!read.Complete() && parked_.Count() >= options_.parked_count_max) {
    answers_.statistics().refused.Add();
    return base::Error{std::errc::timed_out, "too many reads wait"};
  }
  return std::nullopt;
}

void ReadPath::Impl::OnSourceAnswer(FetchTry& answered, base::Status status) {
  // Outside the lock: about 100 µs for a block of 1 MiB.
  uint64_t const digest = status ? DigestOf(answered.room.bytes()) : 0;
  Effects effects;
  {
    base::MutexLock lock(mu_);
    bool const ended = ended_.load(std::memory_order_relaxed) != 0;  // then the clock may be gone
    base::TimePoint const now = ended ? base::TimePoint{} : clock_.Now();
    fetches_.OnAnswer(answered, std::move(status), digest, now, effects.fetches);
    Settle(effects, now);
  }
  Perform(std::move(effects));
}

// Hands ended fetches to their readers and starts what waits for room. The caller lets go of mu_
// and calls Perform.
void ReadPath::Impl::Settle(Effects& effects, base::TimePoint now) {
  for (FetchOutcome& outcome : effects.fetches.outcomes) {
    for (FetchWaiter const& waiter : outcome.waiters) Deliver(outcome, waiter, effects);
  }
  while (fetches_.Pump(now, effects.fetches) == FetchTable::Room::kShort) {
    if (!parked_.GiveUpOneLease()) break;  // Tick tries again
  }
  ++performing_count_;
}

void ReadPath::Impl::Deliver(FetchOutcome& outcome, FetchWaiter waiter, Effects& effects) {
  PendingRead* const read = parked_.Get(waiter.ticket);
  if (read == nullptr) return;  // an error of another block answered it
  if (!outcome.block) {
    GiveUp(waiter.ticket, outcome.block.error(), LeaveReason::kOther, effects);
    return;
  }
  ReadPart& part = read->parts[waiter.part];
  read->tier = std::max(read->tier, outcome.tier);
  // Through Find, because the policy has to know of each read.
  if (auto lease = memory_.Find(outcome.key, read->request.reader)) {
    part.lease = std::move(*lease);
  } else {  // removed just now
    part.Copy(outcome.block->bytes());
  }
  if (!read->Complete()) return;
  effects.answers.push_back({std::move(*parked_.Take(waiter.ticket)), std::nullopt});
}

void ReadPath::Impl::GiveUp(uint64_t ticket, base::Error error, LeaveReason why, Effects& effects) {
  std::optional<PendingRead> read = parked_.Take(ticket);
  if (!read) return;
  base::TimePoint const now = clock_.Now();
  for (ReadPart const& part : read->parts) {
    if (!part.Here()) fetches_.Leave(part.key, ticket, why, now);
  }
  effects.answers.push_back({std::move(*read), std::move(error)});
}

void ReadPath::Impl::Cancel(ReadTicket ticket) {
  Effects effects;
  {
    base::MutexLock lock(mu_);
    GiveUp(ticket.value, {std::errc::interrupted, "given up"}, LeaveReason::kOther, effects);
    ++performing_count_;
  }
  Perform(std::move(effects));
}

bool ReadPath::Impl::IsParked(ReadTicket ticket) const {
  base::MutexLock lock(mu_);
  return parked_.Has(ticket.value);
}

void ReadPath::Impl::Tick() {
  base::TimePoint const now = clock_.Now();
  Effects effects;
  {
    base::MutexLock lock(mu_);
    while (auto const ticket = parked_.Oldest(now - options_.read_deadline)) {
      GiveUp(*ticket, {std::errc::timed_out, "no bytes in time"}, LeaveReason::kTimedOut, effects);
    }
    fetches_.Tick(now, effects.fetches);
    Settle(effects, now);
  }
  Perform(std::move(effects));
}

void ReadPath::Impl::Shutdown(std::errc error) {
  Effects effects;
  {
    base::MutexLock lock(mu_);
    while (ended_.load(std::memory_order_relaxed) != 0 && performing_count_ > 0) {
      performed_.Wait(mu_);
    }
    if (ended_.load(std::memory_order_relaxed) != 0) return;
    ended_.store(static_cast<int>(error), std::memory_order_release);
    fetches_.Clear();
    while (auto const ticket = parked_.Oldest(base::TimePoint::max())) {
      GiveUp(*ticket, {error, "the mount is ending"}, LeaveReason::kOther, effects);
    }
    ++performing_count_;
  }
  Perform(std::move(effects));
  base::MutexLock lock(mu_);
  while (performing_count_ > 0) performed_.Wait(mu_);
}

// With no lock held. Sources first: they work while readers are answered.
void ReadPath::Impl::Perform(Effects effects) {
  std::vector<FetchItem> items;
  for (size_t i = 0; i < sources_.size() && !effects.fetches.asks.empty(); ++i) {
    for (std::shared_ptr<FetchTry> const& ask : effects.fetches.asks) {
      if (ask->source_index != i) continue;
      items.push_back({.key = ask->key,
                       .into = ask->room.bytes(),
                       .deadline = ask->deadline,
                       .done = [self = shared_from_this(), ask](base::Status status) {
                         self->OnSourceAnswer(*ask, std::move(status));
                       }});
    }
    if (!items.empty()) sources_[i].source->Fetch(std::exchange(items, {}));
  }
  for (ReadAnswer& answer : effects.answers) answers_.Answer(std::move(answer));
  base::MutexLock lock(mu_);
  if (--performing_count_ == 0) performed_.SignalAll();
}

std::vector<ParkedRead> ReadPath::Impl::Parked(size_t count_max) const {
  base::MutexLock lock(mu_);
  return parked_.List(count_max, clock_.Now());
}

size_t ReadPath::Impl::ParkedCount() const {
  base::MutexLock lock(mu_);
  return parked_.Count();
}

ReadPath::ReadPath(Options options, const BlockLayout& layout, MemoryTier& memory,
                   std::vector<Source> sources, std::vector<ReadEventQueue*> observers,
                   const base::Clock& clock)
    : impl_(std::make_shared<Impl>(options, layout, memory, std::move(sources),
                                   std::move(observers), clock)) {}

ReadPath::~ReadPath() { Shutdown(std::errc::operation_canceled); }

ReadTicket ReadPath::Read(const ReadRequest& request, ReadDone done) {
  return impl_->Read(request, std::move(done));
}
void ReadPath::Cancel(ReadTicket ticket) { impl_->Cancel(ticket); }
bool ReadPath::IsParked(ReadTicket ticket) const { return impl_->IsParked(ticket); }
void ReadPath::Tick() { impl_->Tick(); }
void ReadPath::Shutdown(std::errc error) { impl_->Shutdown(error); }
const ReadStatistics& ReadPath::Statistics() const { return impl_->Statistics(); }
std::vector<ParkedRead> ReadPath::Parked(size_t count_max) const {
  return impl_->Parked(count_max);
}
size_t ReadPath::ParkedCount() const { return impl_->ParkedCount(); }

}  // namespace stokefs::cache
