#include "cache/read_path.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "base/check.h"
#include "cache/read_path_impl.h"

namespace stokefs::cache {
namespace {

constexpr uint64_t kBlockIndexMax = std::numeric_limits<uint32_t>::max();

FetchTable::Options MakeFetchOptions(const ReadPath::Options& options, uint64_t memory_bytes,
                                     const std::vector<ReadPath::Source>& sources) {
  auto const given_or = [](uint64_t given, uint64_t usual) { return given > 0 ? given : usual; };
  FetchTable::Options made;
  made.background_wait_max = options.read_deadline;
  made.sink = options.sink;
  made.limits.bytes_max = given_or(options.fetch_bytes_max, memory_bytes / 2);
  made.sources.reserve(sources.size());
  made.limits.sources.reserve(sources.size());
  made.limits.background_bytes_max = given_or(options.prefetch_bytes_max, memory_bytes / 8);
  for (ReadPath::Source const& source : sources) {
    made.sources.push_back({source.source->tier(), source.deadline});
    made.limits.sources.push_back(
        {given_or(source.fetch_bytes_max, memory_bytes / 4), source.background_count_max});
  }
  return made;
}

std::vector<ChunkSource*> SourcesOf(const std::vector<ReadPath::Source>& sources) {
  std::vector<ChunkSource*> list;
  list.reserve(sources.size());
  for (auto const& source : sources) list.push_back(source.source);
  return list;
}
}  // namespace

ReadPath::Impl::Impl(const Options& options, const BlockLayout& layout, MemoryTier& memory,
                     const std::vector<Source>& sources, std::vector<ReadEventQueue*> observers,
                     const base::Clock& clock)
    : options_(options),
      layout_(layout),
      memory_(memory),
      memory_bytes_(memory.Usage().budget_bytes),
      sources_(SourcesOf(sources)),
      clock_(clock),
      answers_(std::move(observers), clock),
      fetches_(MakeFetchOptions(options_, memory_bytes_, sources), memory_) {
  STOKEFS_CHECK(options_.extent_bytes > 0 && options_.extent_bytes <= kBlockBytesMax);
}

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
  ChooseSources(read);
  return Wait(std::move(read));
}

// Before the lock: a source has locks of its own.
void ReadPath::Impl::ChooseSources(PendingRead& read) const {
  for (ReadPart& part : read.parts) {
    if (!part.Here()) part.first_source = static_cast<uint32_t>(sources_.FirstHolder(part.key));
  }
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
      base::TimePoint const now = clock_.Now();
      ticket.value = parked_.Park(std::move(read));
      std::vector<ReadPart> const& parts = parked_.Get(ticket.value)->parts;
      for (uint32_t i = 0; i < parts.size(); ++i) {
        if (parts[i].Here()) continue;
        FetchWaiter const waiter{.ticket = ticket.value, .part = i};
        if (fetches_.Find(parts[i].key) == FetchTable::Presence::kInFlight) {
          answers_.statistics().joined.Add();
        } else {
          fetches_.Start({.key = parts[i].key,
                          .size_bytes = parts[i].block_bytes,
                          .first_source = parts[i].first_source},
                         now);
        }
        fetches_.Join(parts[i].key, waiter, now);
      }
      Settle(effects, now);
    }
  }
  if (ticket.value == 0) {
    // NOLINTNEXTLINE(bugprone-use-after-move,clang-analyzer-cplusplus.Move): parked reads have one
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

std::vector<ParkedRead> ReadPath::Impl::Parked(size_t count_max) const {
  base::MutexLock lock(mu_);
  return parked_.List(count_max, clock_.Now());
}

size_t ReadPath::Impl::ParkedCount() const {
  base::MutexLock lock(mu_);
  return parked_.Count();
}

ReadPath::ReadPath(Options options, const BlockLayout& layout, MemoryTier& memory,
                   const std::vector<Source>& sources, std::vector<ReadEventQueue*> observers,
                   const base::Clock& clock)
    : impl_(std::make_shared<Impl>(options, layout, memory, sources, std::move(observers), clock)) {
}

ReadPath::~ReadPath() { Shutdown(std::errc::operation_canceled); }

ReadTicket ReadPath::Read(const ReadRequest& request, ReadDone done) {
  return impl_->Read(request, std::move(done));
}
size_t ReadPath::Prefetch(std::span<const BlockKey> keys, RoomRule rule, PrefetchDone done) {
  return impl_->Prefetch(keys, rule, std::move(done));
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
