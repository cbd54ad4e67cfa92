// One epoch's order as a sampler draws it, before ranks and workers share it out.
//
// Folder indices 0 .. sample_count-1, either as they are or as torch.randperm puts them, with the
// generator seeded by `seed` and `first_output` outputs drawn before. The kinds differ in where the
// permutation stands and what follows it; checked against PyTorch 1.13:
//  - kSequential: SequentialSampler, or DistributedSampler(shuffle=False).
//  - kSeeded: a generator of the sampler's own, at output 0: DistributedSampler (seed + epoch),
//    RandomSampler(generator=g). The next epoch: seed + 1, the same again (set_epoch never called),
//    or further along g.
//  - kLoader: DataLoader(generator=g): 2 outputs are the workers' base seed, then the permutation,
//    and at the epoch's end a second one of which nothing is used: RandomSampler draws
//    randperm(n)[:num_samples % n]. So the next stands 2(n-1) + 2 outputs later, 2(n-1) with
//    persistent workers, which get no new base seed.
//  - kDefault: DataLoader(shuffle=True): the 64-bit seed of a fresh generator is two outputs of the
//    default one, and only its low 32 bits, the second output, matter.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "hints/mt19937.h"

namespace stokefs::hints {

enum class OrderKind : uint8_t { kSequential, kSeeded, kLoader, kDefault };
std::string_view OrderKindName(OrderKind kind);

struct ShuffleOrder {
  OrderKind kind = OrderKind::kSequential;
  uint32_t sample_count = 0;
  uint32_t seed = 0;          // the low 32 bits, of what the generator was seeded with
  uint64_t first_output = 0;  // outputs drawn between the seeding and the permutation

  bool operator==(const ShuffleOrder&) const = default;
};

// A generator that remembers how far it is: to walk along one stream epoch by epoch.
class GeneratorCursor {
 public:
  explicit GeneratorCursor(uint32_t seed) : seed_(seed), generator_(seed) {}

  // To output `output` of `seed`. Backward, or for another seed, it begins anew.
  void Seek(uint32_t seed, uint64_t output);
  // The generator there; drawing from the copy leaves the cursor where it is.
  Mt19937 Generator() const { return generator_; }

 private:
  uint32_t seed_;
  uint64_t output_ = 0;
  Mt19937 generator_;
};

// All folder indices in the order of the epoch: n * 4 bytes, about 6 ns a sample. A cursor that is
// near saves the outputs before it.
std::vector<uint32_t> Expand(const ShuffleOrder& order, GeneratorCursor cursor);
std::vector<uint32_t> Expand(const ShuffleOrder& order);

}  // namespace stokefs::hints
