// Tells the recogniser epochs that tests/hints/torch_epochs.py wrote (the grammar is there) and
// checks that it finds what PyTorch did. One line a case: what was found, after how many reads, and
// what it cost. Exit status 0: all found; 1: not; 2: no such input.
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "hints/recogniser.h"

namespace stokefs::hints {
namespace {

double CpuSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

struct Expected {
  std::string kind;
  uint32_t seed = 0;
  uint64_t first_output = 0;
  uint32_t world = 1, rank = 0;
  WorkerDeal deal;
};

struct Case {
  std::string name;
  uint32_t sample_count = 0;
  std::unique_ptr<Recogniser> recogniser;
  std::vector<uint32_t> sequence;
  Expected expected;
  int epoch = 0;
};

int failures = 0;

void Fail(const Case& present, const std::string& what) {
  ++failures;
  std::cout << "FAILED " << present.name << " n=" << present.sample_count << " epoch "
            << present.epoch << ": " << what << "\n";
}

// A plan may read one sample more: drop_last of sampler or loader cannot be seen from its start.
bool SamePlan(const cache::Plan& plan, const Case& present) {
  uint64_t const shorter = std::min<uint64_t>(plan.SampleCount(), present.sequence.size());
  if (plan.SampleCount() > present.sequence.size() + 1 + present.expected.deal.batch_size)
    return false;
  if (plan.SampleCount() < present.sequence.size()) return false;
  for (uint64_t at = 0; at < shorter; ++at) {
    if (plan.At(at) != cache::NodeId{present.sequence[at] + 2}) return false;
  }
  return true;
}

void CheckFinding(const Case& present, uint64_t found_after, double cpu_seconds) {
  auto const found = present.recogniser->Found();
  if (present.recogniser->Now() != Recogniser::State::kRecognised || !found) {
    Fail(present, "not recognised; dropped: " + present.recogniser->WhyDropped());
    return;
  }
  auto const& expected = present.expected;
  std::vector<cache::NodeId> nodes;
  for (uint32_t i = 0; i < present.sample_count; ++i) nodes.push_back({i + 2});
  auto const plan = present.recogniser->MakePlan(expected.rank, nodes);
  std::printf(
      "%-36s n=%-7u epoch %d: %s seed=%u output=%llu world=%u rank=%u batch=%u workers=%u, "
      "%llu reads, %.3f CPU s\n",
      present.name.c_str(), present.sample_count, present.epoch,
      std::string(OrderKindName(found->order.kind)).c_str(), found->order.seed,
      static_cast<unsigned long long>(found->order.first_output), found->world,
      found->ranks.empty() ? 0 : found->ranks[0], found->deal.batch_size, found->deal.workers,
      static_cast<unsigned long long>(found_after), cpu_seconds);
  if (!plan || !SamePlan(*plan, present)) Fail(present, "the plan is not what was read");
  if (found->order.seed != expected.seed || found->order.first_output != expected.first_output ||
      found->world != expected.world || OrderKindName(found->order.kind) != expected.kind ||
      found->ranks != std::vector<uint32_t>{expected.rank})
    Fail(present, "found something else than what was done");
  auto const deal = found->deal;
  bool const hidden = expected.deal.workers == 1;  // nothing shows the batch size
  bool const short_epoch =
      present.sequence.size() / 2 / expected.deal.batch_size <= expected.deal.workers;
  if (!hidden && !short_epoch && deal != expected.deal) Fail(present, "another batch or workers");
}

// Not the last epoch's order, which stands until the first reads that contradict it.
bool IsFound(const Case& present) {
  auto const found = present.recogniser->Found();
  return present.recogniser->Now() == Recogniser::State::kRecognised &&
         found->order.seed == present.expected.seed &&
         found->order.first_output == present.expected.first_output;
}

void TellReads(Case& present, std::istream& facts) {
  std::string fact;
  uint64_t read_count = 0, found_after = 0;
  double const begin = CpuSeconds();
  auto& recogniser = *present.recogniser;
  bool idle = false;
  while (facts >> fact) {
    auto const colon = fact.find(':');
    recogniser.OnRead({static_cast<uint32_t>(std::stoul(fact.substr(0, colon)))},
                      static_cast<uint32_t>(std::stoul(fact.substr(colon + 1))));
    ++read_count;
    // All there is to do after each of the first reads, as on an idle machine.
    idle = recogniser.Now() == Recogniser::State::kRecognised || read_count > 500;
    while (!idle && recogniser.Work()) {
    }
    if (found_after == 0 && IsFound(present)) found_after = read_count;
  }
  while (recogniser.Work()) {
  }
  CheckFinding(present, found_after, CpuSeconds() - begin);
}

bool Replay(std::istream& input) {
  Case present;
  std::string line, word;
  int case_count = 0;
  while (std::getline(input, line)) {
    std::istringstream facts(line);
    facts >> word;
    if (word == "case") {
      uint64_t searched = 0;
      present = Case{};
      facts >> present.name >> present.sample_count >> searched;
      present.recogniser = std::make_unique<Recogniser>(Recogniser::Options{
          .sample_count = present.sample_count,
          .effort = searched == 0 ? RecogniseEffort::kCheap : RecogniseEffort::kFull,
          .seeds = {0, searched}});
    } else if (word == "epoch") {
      auto& e = present.expected;
      facts >> e.kind >> e.seed >> e.first_output >> e.world >> e.rank >> e.deal.batch_size >>
          e.deal.workers;
    } else if (word == "sequence") {
      present.sequence.clear();
      for (uint32_t index = 0; facts >> index;) present.sequence.push_back(index);
    } else if (word == "reads") {
      TellReads(present, facts);
      ++present.epoch;
    } else if (word == "end") {
      ++case_count;
    } else {
      std::cerr << "no such fact: " << word << "\n";
      return false;
    }
  }
  std::cout << case_count << " cases, " << failures << " failures\n";
  return case_count > 0 && failures == 0;
}

}  // namespace
}  // namespace stokefs::hints

int main(int argc, char** argv) {
  if (argc < 2) return stokefs::hints::Replay(std::cin) ? 0 : 1;
  std::ifstream file(argv[1]);
  if (!file) {
    std::cerr << argv[1] << ": cannot be read\n";
    return 2;
  }
  return stokefs::hints::Replay(file) ? 0 : 1;
}
