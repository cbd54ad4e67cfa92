#include "tools/sim_replay.h"

#include <array>
#include <vector>

namespace stokefs::tools {
namespace {

using cache::EpochPolicy;
using cache::JobIndex;
using cache::SampleIndex;
using cache::SamplePolicy;

// Orders stay where they are as long as their epoch lasts.
using Orders = std::array<std::vector<SampleIndex>, cache::kJobCountMax>;

void BeginEpoch(SamplePolicy& policy, const Trace& trace, JobIndex job, bool order_is_known) {
  auto* const ours = dynamic_cast<EpochPolicy*>(&policy);
  if (ours == nullptr || ours->IsActive(job)) {
    policy.OnEpoch(job);
    return;
  }
  bool is_weighted = !trace.weights.empty();
  if (trace.traits.empty()) {
    ours->StartJob(job);
  } else {
    is_weighted = trace.traits[job.value].is_weighted;
    ours->StartJob(job, trace.traits[job.value].scope);
  }
  if (is_weighted && !order_is_known) ours->SetSampling(job, EpochPolicy::Sampling::kWeighted);
}

// What `job` reads from `epoch` on until its next one.
std::vector<SampleIndex> OrderOf(const Trace& trace, size_t epoch) {
  JobIndex const job = trace.epochs[epoch].job;
  uint64_t end = trace.samples.size();
  for (size_t next = epoch + 1; next < trace.epochs.size(); ++next) {
    if (trace.epochs[next].job != job) continue;
    end = trace.epochs[next].position;
    break;
  }
  std::vector<SampleIndex> order;
  for (uint64_t at = trace.epochs[epoch].position; at < end; ++at)
    if (trace.JobAt(at) == job) order.push_back({trace.samples[at]});
  return order;
}

void TellOrder(SamplePolicy& policy, const Trace& trace, size_t epoch, Orders& orders) {
  auto* const ours = dynamic_cast<EpochPolicy*>(&policy);
  if (ours == nullptr) return;
  JobIndex const job = trace.epochs[epoch].job;
  orders[job.value] = OrderOf(trace, epoch);
  ours->SetPlan(job, orders[job.value]);
}

}  // namespace

std::unique_ptr<EpochPolicy> MakeEpochPolicy(const cache::DatasetShape& shape,
                                             uint64_t capacity_bytes, const Trace& trace) {
  auto policy = std::make_unique<EpochPolicy>(shape, EpochPolicy::Options{capacity_bytes});
  for (uint32_t i = 0; i < trace.weights.size(); ++i) policy->SetImportance({i}, trace.weights[i]);
  policy->ApplyImportance();
  return policy;
}

void Replay(const Trace& trace, SamplePolicy& policy, ReplayOptions options, SimMemory& memory) {
  Orders orders;
  size_t epoch = 0;
  for (uint64_t at = 0; at < trace.samples.size(); ++at) {
    for (; epoch < trace.epochs.size() && trace.epochs[epoch].position == at; ++epoch) {
      BeginEpoch(policy, trace, trace.epochs[epoch].job, options.order_is_known);
      if (options.order_is_known) TellOrder(policy, trace, epoch, orders);
    }
    if (at == trace.last_epoch) memory.StartCounting();
    if (options.future != nullptr) options.future->MoveTo(at);
    memory.Read({trace.samples[at]}, trace.JobAt(at));
  }
}

}  // namespace stokefs::tools
