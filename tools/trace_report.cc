#include "tools/trace_report.h"

#include <chrono>

namespace stokefs::tools {
namespace {

double Seconds(base::Duration time) { return std::chrono::duration<double>(time).count(); }

TracedEpoch EpochOf(const cache::EpochRecord& record) {
  TracedEpoch epoch{.index = record.index,
                    .seconds = Seconds(record.ended - record.began),
                    .thought_s = Seconds(record.thought)};
  if (record.scope_count > 0)
    epoch.progress =
        static_cast<double>(record.used_count) / static_cast<double>(record.scope_count);
  for (size_t i = 0; i < epoch.by_tier.size(); ++i)
    epoch.by_tier[i] = {record.by_tier[i].read_count, Seconds(record.by_tier[i].waited)};
  return epoch;
}

}  // namespace

RecordedTrace RecordTrace(const cache::JobTraceReport& report, const MountConfig& config) {
  RecordedTrace recorded{.memory_bytes = config.memory,
                         .disk_bytes = config.disk,
                         .origin_parallel = config.origin_threads};
  if (report.map == nullptr) return recorded;
  recorded.shape = report.map->shape();
  Trace& trace = recorded.trace;
  trace.samples = report.reads.samples;
  trace.jobs = report.reads.jobs;
  for (cache::JobTrace::Mark const& mark : report.reads.marks)
    trace.epochs.push_back({mark.position, mark.job});
  trace.weights = report.importance;
  trace.job_count = cache::kJobCountMax;
  trace.traits.resize(cache::kJobCountMax);
  for (cache::TracedJob const& job : report.jobs) {
    Trace::JobTraits& traits = trace.traits[job.index.value];
    traits.is_weighted = job.is_weighted;
    traits.scope = *job.scope;
    TracedJob told{
        .index = job.index, .name = job.record.name(), .root = job.record.root(), .epochs = {}};
    for (cache::EpochRecord const& epoch : job.record.epochs())
      told.epochs.push_back(EpochOf(epoch));
    if (!told.epochs.empty()) recorded.jobs.push_back(std::move(told));
  }
  return recorded;
}

}  // namespace stokefs::tools
