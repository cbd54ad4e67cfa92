// Any sequence of reads, epochs and slices of work: nothing but answers, and those consistent.
#include <cstring>
#include <vector>

#include "base/check.h"
#include "hints/recogniser.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace stokefs;
  if (size < 3) return 0;
  uint32_t const sample_count = data[0] + (data[1] % 4 == 0 ? 0u : 200u);
  hints::Recogniser recogniser({.sample_count = sample_count, .seeds = {0, 1024}});
  std::vector<cache::NodeId> const nodes(sample_count / 2, cache::NodeId{5});
  // A generator's order now and then, so that something is recognised to be broken.
  auto const entries = hints::Expand({hints::OrderKind::kSeeded, sample_count, data[2] % 4u, 0});
  size_t place = 0;
  int work_left = 6;  // the small seeds that are used here are in the first slices
  for (size_t i = 3; i + 1 < size; i += 2) {
    cache::ReaderId const reader{data[i] % 8u};
    switch (data[i] >> 4) {
      case 0:
        recogniser.BeginEpoch();
        place = 0;
        break;
      case 1:
        if (work_left-- > 0) recogniser.Work();
        break;
      case 2:
      case 3:
        recogniser.OnRead(reader, data[i + 1] * 3u);
        break;
      default:
        for (int run = data[i + 1] % 16; run > 0 && place < entries.size(); --run)
          recogniser.OnRead(reader, entries[place++]);
    }
    bool const known = recogniser.Now() != hints::Recogniser::State::kWatching;
    STOKEFS_CHECK(recogniser.Found().has_value() == known);
    if (auto const plan = recogniser.MakePlan(data[i + 1] % 4u, nodes)) {
      STOKEFS_CHECK(known && plan->SampleCount() <= sample_count);
      plan->NextUse(cache::NodeId{5}, data[i + 1]);
    }
    recogniser.MakeNextPlan(0, nodes);
  }
  return 0;
}
