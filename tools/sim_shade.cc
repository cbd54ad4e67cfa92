#include "tools/sim_shade.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "cache/baseline/shade.h"
#include "tools/sim_random.h"

namespace stokefs::tools {
namespace {

using cache::SampleIndex;
using cache::baseline::Shade;

constexpr uint32_t kBatchSamples = 256;

std::vector<uint32_t> DrawEpoch(const ShadeRun& run, const Shade& policy, SimRandom& random) {
  uint32_t const count = run.shape->sample_count();
  std::vector<double> weights(count);
  for (uint32_t i = 0; i < count; ++i) weights[i] = policy.WeightOf({i});
  WeightedDraw const draw(weights);
  std::vector<uint32_t> hits;
  std::vector<uint32_t> misses;
  for (uint32_t i = 0; i < count; ++i) {
    uint32_t const sample = draw.Draw(random);
    (policy.IsCached({sample}) ? hits : misses).push_back(sample);
  }
  std::vector<uint32_t> epoch;
  auto const repeated = static_cast<size_t>(
      std::min<double>(static_cast<double>(hits.size()) * run.replication, count));
  for (size_t i = 0; i < repeated; ++i) epoch.push_back(hits[i % hits.size()]);
  random.Shuffle(epoch);
  random.Shuffle(misses);
  size_t const missed = std::min<size_t>(misses.size(), count - epoch.size());
  epoch.insert(epoch.end(), misses.begin(), misses.begin() + static_cast<std::ptrdiff_t>(missed));
  return epoch;
}

}  // namespace

SimMemory::Counts RunShade(const ShadeRun& run) {
  SimRandom random(run.seed);
  std::vector<float> difficulty(run.shape->sample_count());
  for (float& d : difficulty) d = static_cast<float>(std::exp(random.Normal()));

  Shade policy(*run.shape,
               {.capacity_samples = run.capacity_samples, .batch_samples = kBatchSamples});
  SimMemory memory(*run.shape, {.capacity_bytes = run.capacity_samples}, policy);
  std::vector<SampleIndex> batch;
  std::vector<std::pair<double, uint32_t>> losses;
  for (uint32_t epoch = 0; epoch < run.epoch_count; ++epoch) {
    std::vector<uint32_t> const reads = DrawEpoch(run, policy, random);
    memory.StartCounting();
    for (size_t first = 0; first < reads.size(); first += kBatchSamples) {
      losses.clear();
      batch.clear();
      size_t const end = std::min<size_t>(reads.size(), first + kBatchSamples);
      for (size_t i = first; i < end; ++i) {
        memory.Read({reads[i]}, {0});
        losses.emplace_back(difficulty[reads[i]] * std::exp(random.Normal() / 2), reads[i]);
      }
      std::sort(losses.begin(), losses.end());
      for (const auto& [loss, sample] : losses) batch.push_back({sample});
      policy.OnBatch(batch);
    }
  }
  return memory.counts();
}

}  // namespace stokefs::tools
