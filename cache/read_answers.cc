#include "cache/read_answers.h"

#include <utility>

namespace stokefs::cache {

ReadAnswers::ReadAnswers(std::vector<ReadEventQueue*> observers, const base::Clock& clock)
    : observers_(std::move(observers)), clock_(clock) {}

void ReadAnswers::Answer(ReadAnswer answer) {
  PendingRead& read = answer.read;
  if (answer.error) {
    Fail(read.done, std::move(*answer.error));
    return;
  }
  ReadReply reply = read.TakeReply();
  uint64_t const size = reply.SizeBytes();
  if (size > 0) {
    base::TimePoint const now = clock_.Now();
    base::Duration const latency = now - read.started;
    Count({.reader = read.request.reader,
           .node = read.request.node,
           .offset = read.request.offset,
           .size_bytes = static_cast<uint32_t>(size),
           .whole_end = read.request.offset + size == read.file_bytes,
           .tier = read.tier,
           .when = now,
           .waited = read.tier == Tier::kMemory ? base::Duration{} : latency},
          latency);
  }
  read.done(std::move(reply));
}

void ReadAnswers::Fail(const ReadDone& done, base::Error error) {
  statistics_.errors.Add();
  if (error.code == std::errc::timed_out) statistics_.timeouts.Add();
  done(tl::unexpected(std::move(error)));
}

void ReadAnswers::Count(const ReadEvent& event, base::Duration latency) {
  statistics_.bytes.Add(event.size_bytes);
  statistics_.latency.Add(latency);
  if (event.offset == 0) {
    statistics_.samples.Add();
    switch (event.tier) {
      case Tier::kGpu:
      case Tier::kMemory:
        statistics_.memory.Add();
        break;
      case Tier::kDisk:
        statistics_.disk.Add();
        break;
      case Tier::kPeer:
        statistics_.peer.Add();
        break;
      case Tier::kOrigin:
        statistics_.origin.Add();
        break;
    }
  }
  for (ReadEventQueue* const observer : observers_) observer->Publish(event);
}

}  // namespace stokefs::cache
