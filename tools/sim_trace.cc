#include "tools/sim_trace.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <optional>
#include <utility>

#include "base/check.h"
#include "tools/sim_random.h"

namespace stokefs::tools {
namespace {

constexpr std::pair<std::string_view, TraceKind> kKinds[] = {
    {"uniform", TraceKind::kUniform},         {"zipf", TraceKind::kZipf},
    {"log-rank", TraceKind::kLogRank},        {"distributed", TraceKind::kDistributed},
    {"out-of-phase", TraceKind::kOutOfPhase}, {"in-step", TraceKind::kInStep}};

std::vector<uint32_t> AllSamples(uint32_t count) {
  std::vector<uint32_t> samples(count);
  std::iota(samples.begin(), samples.end(), 0u);
  return samples;
}

// One job; each epoch an order of its own, with padding to a multiple of `world`.
Trace OnceAnEpoch(const TraceOptions& options, uint32_t world, SimRandom& random) {
  Trace trace;
  auto order = AllSamples(options.sample_count);
  for (uint32_t epoch = 0; epoch < options.epoch_count; ++epoch) {
    trace.last_epoch = trace.samples.size();
    trace.epochs.push_back({trace.last_epoch, {0}});
    random.Shuffle(order);
    trace.samples.insert(trace.samples.end(), order.begin(), order.end());
    for (uint32_t i = 0; (options.sample_count + i) % world != 0; ++i)
      trace.samples.push_back(order[i % options.sample_count]);
  }
  return trace;
}

Trace Weighted(const TraceOptions& options, SimRandom& random) {
  std::vector<double> weights(options.sample_count);
  auto order = AllSamples(options.sample_count);
  random.Shuffle(order);
  double sum = 0;
  for (uint32_t rank = 0; rank < options.sample_count; ++rank) {
    double const weight = options.kind == TraceKind::kZipf ? std::pow(rank + 1.0, -options.exponent)
                                                           : std::log(random.Below(256) + 10.0);
    weights[order[rank]] = weight;
    sum += weight;
  }
  Trace trace;
  for (double const weight : weights)
    trace.weights.push_back(static_cast<float>(weight / sum * options.sample_count));
  WeightedDraw const draw(weights);
  for (uint32_t epoch = 0; epoch < options.epoch_count; ++epoch) {
    trace.last_epoch = trace.samples.size();
    trace.epochs.push_back({trace.last_epoch, {0}});
    for (uint32_t i = 0; i < options.sample_count; ++i) trace.samples.push_back(draw.Draw(random));
  }
  return trace;
}

// At each tick each job that has begun reads one sample.
Trace SeveralJobs(const TraceOptions& options, SimRandom& random) {
  uint64_t const n = options.sample_count;
  bool const in_step = options.kind == TraceKind::kInStep;
  Trace trace;
  trace.job_count = options.job_count;
  std::vector<std::vector<uint32_t>> orders(options.job_count, AllSamples(options.sample_count));
  for (uint64_t tick = 0; tick < n * options.epoch_count; ++tick) {
    if (tick == n * (options.epoch_count - 1)) trace.last_epoch = trace.samples.size();
    for (uint32_t job = 0; job < options.job_count; ++job) {
      uint64_t const start = in_step ? 0 : n * job / options.job_count;
      if (tick < start) continue;
      uint64_t const place = (tick - start) % n;
      if (place == 0) {
        trace.epochs.push_back({trace.samples.size(), {static_cast<uint8_t>(job)}});
        if (!in_step || job == 0) random.Shuffle(orders[job]);
      }
      trace.samples.push_back(orders[in_step ? 0 : job][place]);
      trace.jobs.push_back(static_cast<uint8_t>(job));
    }
  }
  return trace;
}

}  // namespace

std::optional<TraceKind> ParseTraceKind(std::string_view name) {
  for (const auto& [known, kind] : kKinds)
    if (known == name) return kind;
  return std::nullopt;
}

Trace MakeTrace(const TraceOptions& options) {
  STOKEFS_CHECK(options.sample_count > 0 && options.epoch_count > 0 && options.world > 0);
  STOKEFS_CHECK(options.job_count > 0 && options.job_count <= cache::kJobCountMax);
  SimRandom random(options.seed);
  switch (options.kind) {
    case TraceKind::kUniform:
      return OnceAnEpoch(options, 1, random);
    case TraceKind::kDistributed:
      return OnceAnEpoch(options, options.world, random);
    case TraceKind::kZipf:
    case TraceKind::kLogRank:
      return Weighted(options, random);
    case TraceKind::kOutOfPhase:
    case TraceKind::kInStep:
      break;
  }
  return SeveralJobs(options, random);
}

Trace Repeat(const Trace& trace, TraceSlice slice, unsigned round_count) {
  STOKEFS_CHECK(slice.first <= slice.end && slice.end <= trace.samples.size() && round_count > 0);
  Trace made;
  made.job_count = trace.job_count;
  made.weights = trace.weights;
  made.traits = trace.traits;
  // Where its epochs begin, and which reads are whose epoch's.
  std::vector<Trace::Epoch> begins;
  std::vector<std::vector<uint32_t>> positions;  // in the slice
  std::array<std::optional<size_t>, cache::kJobCountMax> epoch_of_job;
  auto const begin = [&](uint64_t position, cache::JobIndex job) {
    epoch_of_job[job.value] = positions.size();
    positions.emplace_back();
    begins.push_back({position - slice.first, job});
  };
  auto mark = trace.epochs.begin();
  while (mark != trace.epochs.end() && mark->position < slice.first) ++mark;
  for (uint64_t at = slice.first; at < slice.end; ++at) {
    for (; mark != trace.epochs.end() && mark->position <= at; ++mark) begin(at, mark->job);
    cache::JobIndex const job = trace.JobAt(at);
    if (!epoch_of_job[job.value]) begin(at, job);
    positions[*epoch_of_job[job.value]].push_back(static_cast<uint32_t>(at - slice.first));
  }

  SimRandom random(1);
  std::vector<uint32_t> samples(trace.samples.begin() + static_cast<std::ptrdiff_t>(slice.first),
                                trace.samples.begin() + static_cast<std::ptrdiff_t>(slice.end));
  for (unsigned round = 0; round < round_count; ++round) {
    made.last_epoch = made.samples.size();
    for (Trace::Epoch const& epoch : begins)
      made.epochs.push_back({made.last_epoch + epoch.position, epoch.job});
    bool const is_last = round + 1 == round_count;
    for (auto const& epoch : positions) {
      std::vector<uint32_t> from = epoch;
      if (!is_last) random.Shuffle(from);
      for (size_t i = 0; i < epoch.size(); ++i)
        samples[epoch[i]] = trace.samples[slice.first + from[i]];
    }
    made.samples.insert(made.samples.end(), samples.begin(), samples.end());
    for (uint64_t at = slice.first; at < slice.end && !trace.jobs.empty(); ++at)
      made.jobs.push_back(trace.jobs[at]);
  }
  return made;
}

TraceSlice WholeEpochs(const Trace& trace) {
  std::array<uint64_t, cache::kJobCountMax> counts{};
  for (uint64_t at = 0; at < trace.samples.size(); ++at) ++counts[trace.JobAt(at).value];
  auto const most = std::max_element(counts.begin(), counts.end()) - counts.begin();
  std::vector<uint64_t> begins;
  for (Trace::Epoch const& epoch : trace.epochs)
    if (epoch.job.value == most) begins.push_back(epoch.position);
  if (begins.size() < 2) return {0, trace.samples.size()};
  return {begins.front(), begins.back()};
}

TraceFuture::TraceFuture(const Trace& trace, uint32_t sample_count)
    : trace_(trace), next_(trace.samples.size()) {
  std::vector<uint32_t> next_of(sample_count, static_cast<uint32_t>(trace.samples.size()));
  for (size_t i = trace.samples.size(); i-- > 0;) {
    next_[i] = next_of[trace.samples[i]];
    next_of[trace.samples[i]] = static_cast<uint32_t>(i);
  }
}

}  // namespace stokefs::tools
