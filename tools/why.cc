#include "tools/why.h"

#include <algorithm>
#include <cmath>

#include "tools/sim_memory.h"
#include "tools/sim_replay.h"

namespace stokefs::tools {
namespace {

using cache::Tier;

constexpr uint64_t kReadCountMin = 200;  // fewer say nothing
constexpr double kWholeEpoch = 0.9;      // of its samples
constexpr unsigned kRounds = 2;          // one to fill memory, one that counts
constexpr std::array kTierNames = {"gpu", "memory", "disk", "peer", "origin"};

// Readers think and wait by turns: an epoch takes as long as both together, shared by so many
// readers as were busy on average; and no less than the origin needs for what is fetched from it,
// so many requests at a time. What a wait for a tier takes is taken from what it took.
struct TimeModel {
  double thought_s = 0;
  double concurrency = 1;
  std::array<double, cache::kTierCount> wait_s{};  // of one read
  double origin_request_s = 0;
  double origin_parallel = 1;
};

TimeModel MakeModel(const TracedEpoch& epoch, uint64_t origin_parallel) {
  TimeModel model;
  model.thought_s = epoch.thought_s;
  double const busy_s = epoch.thought_s + epoch.WaitedSeconds();
  if (epoch.seconds > 0) model.concurrency = std::max(busy_s / epoch.seconds, 1e-3);
  for (size_t i = 0; i < epoch.by_tier.size(); ++i) {
    TracedTier const& tier = epoch.by_tier[i];
    if (tier.read_count > 0) model.wait_s[i] = tier.waited_s / static_cast<double>(tier.read_count);
  }
  model.origin_request_s = model.wait_s[static_cast<size_t>(Tier::kOrigin)];
  model.origin_parallel = static_cast<double>(std::max<uint64_t>(origin_parallel, 1));
  return model;
}

struct Epoch {  // as it would be
  std::array<double, cache::kTierCount> reads{};
  double origin_requests = 0;
};

struct Predicted {
  double seconds = 0;
  std::string bound;
};

Predicted Predict(const TimeModel& model, const Epoch& epoch) {
  double busy_s = model.thought_s;
  size_t longest = 0;
  double longest_s = 0;
  for (size_t i = 0; i < epoch.reads.size(); ++i) {
    double const waited_s = epoch.reads[i] * model.wait_s[i];
    busy_s += waited_s;
    if (waited_s <= longest_s) continue;
    longest = i;
    longest_s = waited_s;
  }
  double const origin_s = epoch.origin_requests * model.origin_request_s / model.origin_parallel;
  double const readers_s = busy_s / model.concurrency;
  if (origin_s > readers_s) return {origin_s, "origin"};
  return {readers_s, longest_s > model.thought_s ? kTierNames[longest] : "trainer"};
}

// Where its epochs begin in the trace; the end of the last one is the trace's.
TraceSlice LastEpoch(const RecordedTrace& recorded, cache::JobIndex job, bool whole) {
  std::vector<uint64_t> begins;
  for (Trace::Epoch const& mark : recorded.trace.epochs)
    if (mark.job == job) begins.push_back(mark.position);
  uint64_t const end = recorded.trace.samples.size();
  if (begins.empty()) return {0, end};
  if (whole && begins.size() > 1) return {begins[begins.size() - 2], begins.back()};
  return {begins.back(), end};
}

class Explainer {
 public:
  Explainer(const RecordedTrace& recorded, const TracedJob& job) : recorded_(recorded), job_(job) {
    // The present epoch, when it is nearly over or there is no other.
    bool const take_present = job.epochs.size() == 1 || job.epochs.back().progress > kWholeEpoch;
    why_ = {.name = job.name,
            .root = job.root,
            .epoch = take_present ? job.epochs.back() : job.epochs[job.epochs.size() - 2]};
    slice_ = LastEpoch(recorded, job.index, !take_present);
    model_ = MakeModel(why_.epoch, recorded.origin_parallel);
  }

  JobWhy Explain() {
    double const reads = static_cast<double>(why_.epoch.ReadCount());
    Epoch present;
    for (size_t i = 0; i < present.reads.size(); ++i)
      present.reads[i] = static_cast<double>(why_.epoch.by_tier[i].read_count);
    why_.bound = Predict(model_, present).bound;
    uint64_t own_count = 0;
    for (uint64_t at = slice_.first; at < slice_.end; ++at)
      own_count += recorded_.trace.JobAt(at) == job_.index ? 1 : 0;
    if (!recorded_.shape || own_count < kReadCountMin || reads == 0) {
      why_.why_no_what_if = "too few reads to replay";
      return std::move(why_);
    }
    repeated_ = Repeat(recorded_.trace, slice_, kRounds);
    replayed_ = Replayed(recorded_.memory_bytes, false);
    why_.replayed_hits = replayed_.hit_ratio;
    CalibrateOrigin();
    AddMemory();
    AddDisk();
    if (!recorded_.trace.traits[job_.index.value].is_weighted) AddOrder();
    return std::move(why_);
  }

 private:
  struct Outcome {
    double hit_ratio = 0;
    double fetched_per_read = 0;
  };

  Outcome Replayed(uint64_t memory_bytes, bool order_is_known) const {
    cache::DatasetShape const& shape = *recorded_.shape;
    auto const policy = MakeEpochPolicy(shape, memory_bytes, repeated_);
    SimMemory memory(shape, {.capacity_bytes = memory_bytes}, *policy);
    Replay(repeated_, *policy, {.order_is_known = order_is_known}, memory);
    SimMemory::Counts const& counts = memory.counts();
    auto const own = static_cast<double>(counts.job_reads[job_.index.value]);
    return {.hit_ratio = static_cast<double>(counts.job_hits[job_.index.value]) / own,
            .fetched_per_read =
                static_cast<double>(counts.fetched) / static_cast<double>(counts.reads)};
  }

  // The mount hits a little less than the policy alone does: so much less it would again.
  double Expected(double replayed_hits) const {
    double const lost = replayed_.hit_ratio - MeasuredHits();
    return std::clamp(replayed_hits - lost, 0.0, 1.0);
  }
  double MeasuredHits() const {
    return static_cast<double>(why_.epoch.HitCount()) / static_cast<double>(why_.epoch.ReadCount());
  }

  // Waits at an origin that is busy contain its queue: it does what it does now, and no less.
  void CalibrateOrigin() {
    Epoch const now = WithHits(MeasuredHits(), replayed_.fetched_per_read);
    double const least_s = now.origin_requests * model_.origin_request_s / model_.origin_parallel;
    if (least_s > why_.epoch.seconds) model_.origin_request_s *= why_.epoch.seconds / least_s;
  }

  // The same reads, so many of them hits; the others from the tiers that they come from now.
  Epoch WithHits(double hit_ratio, double fetched_per_read) const {
    auto const reads = static_cast<double>(why_.epoch.ReadCount());
    auto const misses = static_cast<double>(why_.epoch.ReadCount() - why_.epoch.HitCount());
    Epoch epoch;
    epoch.reads[static_cast<size_t>(Tier::kMemory)] = hit_ratio * reads;
    double origin_share = 1;
    for (auto const tier : {Tier::kDisk, Tier::kPeer, Tier::kOrigin}) {
      auto const i = static_cast<size_t>(tier);
      double share = tier == Tier::kOrigin ? 1 : 0;  // where nothing missed
      if (misses > 0) share = static_cast<double>(why_.epoch.by_tier[i].read_count) / misses;
      epoch.reads[i] = (1 - hit_ratio) * reads * share;
      if (tier == Tier::kOrigin) origin_share = share;
    }
    epoch.origin_requests = fetched_per_read * reads * origin_share;
    return epoch;
  }

  void AddMemory() {
    uint64_t const dataset_bytes = recorded_.shape->total_bytes();
    uint64_t const now = recorded_.memory_bytes;
    for (uint64_t const more : {now / 4, now / 2, now, 3 * now}) {
      bool const holds_all = now + more >= dataset_bytes;
      uint64_t const bytes = std::min(now + more, dataset_bytes);
      if (bytes <= now) return;
      Outcome const outcome = Replayed(bytes, false);
      double const hits = Expected(outcome.hit_ratio);
      auto const predicted = Predict(model_, WithHits(hits, outcome.fetched_per_read));
      why_.what_if.push_back({.change = WhatIf::Change::kMemory,
                              .more_bytes = bytes - now,
                              .holds_all = holds_all,
                              .hit_ratio = hits,
                              .seconds = predicted.seconds,
                              .bound = predicted.bound});
      if (holds_all) return;
    }
  }

  // Room on disk for all of the dataset: what the origin answers now, the disk would.
  void AddDisk() {
    uint64_t const dataset_bytes = recorded_.shape->total_bytes();
    auto const disk = static_cast<size_t>(Tier::kDisk), origin = static_cast<size_t>(Tier::kOrigin);
    if (recorded_.disk_bytes >= dataset_bytes) return;
    Epoch epoch = WithHits(MeasuredHits(), 0);
    epoch.reads[disk] += epoch.reads[origin];
    epoch.reads[origin] = epoch.origin_requests = 0;
    auto const predicted = Predict(model_, epoch);
    why_.what_if.push_back({.change = WhatIf::Change::kDisk,
                            .more_bytes = dataset_bytes - recorded_.disk_bytes,
                            .holds_all = true,
                            .hit_ratio = MeasuredHits(),
                            .seconds = predicted.seconds,
                            .at_best = why_.epoch.by_tier[disk].read_count == 0,
                            .bound = predicted.bound});
  }

  void AddOrder() {
    Outcome const outcome = Replayed(recorded_.memory_bytes, true);
    auto const predicted = Predict(model_, WithHits(outcome.hit_ratio, outcome.fetched_per_read));
    why_.what_if.push_back({.change = WhatIf::Change::kOrderKnown,
                            .hit_ratio = outcome.hit_ratio,
                            .seconds = predicted.seconds,
                            .bound = predicted.bound});
  }

  const RecordedTrace& recorded_;
  const TracedJob& job_;
  JobWhy why_;
  TraceSlice slice_;
  TimeModel model_;
  Trace repeated_;
  Outcome replayed_;
};

}  // namespace

std::vector<JobWhy> ExplainJobs(const RecordedTrace& recorded) {
  std::vector<JobWhy> jobs;
  for (TracedJob const& job : recorded.jobs) jobs.push_back(Explainer(recorded, job).Explain());
  return jobs;
}

}  // namespace stokefs::tools
