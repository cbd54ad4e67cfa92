// The last source of all: what the dataset is read from. What an origin has beside a ChunkSource.
#pragma once

#include <chrono>

#include "base/metrics.h"
#include "cache/chunk_source.h"

namespace stokefs::cache {

struct OriginStatistics {
  base::Counter reads;  // blocks fetched
  base::Counter bytes;
  base::Counter errors;  // fetches that ended in an error, ETIMEDOUT and ESTALE included
  base::Counter stale;
  base::LatencyHistogram latency;
};

class OriginSource : public ChunkSource {
 public:
  Tier tier() const override { return Tier::kOrigin; }

  // Answers what is queued ECANCELED and waits up to `limit` for what runs. False when a thread is
  // stuck: then the process must end by `_exit`, and this object must not be destroyed before.
  virtual bool Stop(std::chrono::milliseconds limit) = 0;

  virtual const OriginStatistics& Statistics() const = 0;
};

}  // namespace stokefs::cache
