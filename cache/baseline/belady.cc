#include "cache/baseline/belady.h"

#include <bit>

#include "base/check.h"

namespace stokefs::cache::baseline {

NumberSet::NumberSet(uint64_t bound) : bound_(bound) {
  uint64_t words = bound;
  do {
    words = words / 64 + 1;
    levels_.emplace_back(words, 0);
  } while (words > 1);
}

void NumberSet::Insert(uint64_t number) {
  for (auto& level : levels_) {
    level[number / 64] |= uint64_t{1} << number % 64;
    number /= 64;
  }
}

void NumberSet::Erase(uint64_t number) {
  for (auto& level : levels_) {
    level[number / 64] &= ~(uint64_t{1} << number % 64);
    if (level[number / 64] != 0) return;
    number /= 64;
  }
}

std::optional<uint64_t> NumberSet::LargestUpTo(uint64_t number) const {
  for (size_t level = 0; level < levels_.size(); ++level) {
    uint64_t const word = levels_[level][number / 64] & (~uint64_t{0} >> (63 - number % 64));
    if (word != 0) {
      uint64_t found = number / 64 * 64 + 63 - static_cast<uint64_t>(std::countl_zero(word));
      while (level-- > 0)
        found = found * 64 + 63 - static_cast<uint64_t>(std::countl_zero(levels_[level][found]));
      return found;
    }
    if (number < 64) return std::nullopt;
    number = number / 64 - 1;
  }
  return std::nullopt;
}

Belady::Belady(const DatasetShape& shape, Options options, const FutureReads& future)
    : future_(future),
      capacity_samples_(options.capacity_samples),
      next_use_(shape.sample_count()),
      cached_(future.ReadCount() + shape.sample_count()) {
  STOKEFS_CHECK(future.ReadCount() <= ~uint32_t{0});
}

uint64_t Belady::KeyOf(SampleIndex sample) const {
  uint64_t const next = next_use_[sample.value];
  return next == future_.ReadCount() ? next + sample.value : next;
}

SamplePolicy::After Belady::OnHit(SampleIndex sample, JobIndex) {
  cached_.Erase(KeyOf(sample));
  next_use_[sample.value] = static_cast<uint32_t>(future_.NextUse());
  cached_.Insert(KeyOf(sample));
  return After::kKeep;
}

SamplePolicy::After Belady::OnMiss(SampleIndex sample, JobIndex) {
  next_use_[sample.value] = static_cast<uint32_t>(future_.NextUse());
  if (cached_count_ < capacity_samples_) return After::kKeep;
  auto const farthest = cached_.Largest();
  return farthest && KeyOf(sample) < *farthest ? After::kKeep : After::kDrop;
}

void Belady::OnInsert(SampleIndex sample) {
  cached_.Insert(KeyOf(sample));
  ++cached_count_;
}

void Belady::OnRemove(SampleIndex sample) {
  cached_.Erase(KeyOf(sample));
  --cached_count_;
}

std::optional<SampleIndex> Belady::ChooseVictim(const SampleFilter& filter) {
  for (auto key = cached_.Largest(); key; key = cached_.LargestUpTo(*key - 1)) {
    uint64_t const reads = future_.ReadCount();
    SampleIndex const sample =
        *key < reads ? future_.SampleAt(*key) : SampleIndex{static_cast<uint32_t>(*key - reads)};
    if (filter.MayGo(sample)) return sample;
    if (*key == 0) break;
  }
  return std::nullopt;
}

}  // namespace stokefs::cache::baseline
