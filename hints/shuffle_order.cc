#include "hints/shuffle_order.h"

#include <numeric>

#include "hints/randperm.h"

namespace stokefs::hints {

std::string_view OrderKindName(OrderKind kind) {
  switch (kind) {
    case OrderKind::kSequential:
      return "sequential";
    case OrderKind::kSeeded:
      return "seeded";
    case OrderKind::kLoader:
      return "loader-generator";
    case OrderKind::kDefault:
      return "default-generator";
  }
  return "unknown";
}

void GeneratorCursor::Seek(uint32_t seed, uint64_t output) {
  if (seed != seed_ || output < output_) {
    generator_ = Mt19937(seed);
    seed_ = seed;
    output_ = 0;
  }
  generator_.Skip(output - output_);
  output_ = output;
}

std::vector<uint32_t> Expand(const ShuffleOrder& order, GeneratorCursor cursor) {
  if (order.kind != OrderKind::kSequential) {
    cursor.Seek(order.seed, order.first_output);
    Mt19937 generator = cursor.Generator();
    return Randperm(generator, order.sample_count);
  }
  std::vector<uint32_t> indices(order.sample_count);
  std::iota(indices.begin(), indices.end(), 0u);
  return indices;
}

std::vector<uint32_t> Expand(const ShuffleOrder& order) {
  return Expand(order, GeneratorCursor(order.seed));
}

}  // namespace stokefs::hints
