#include "cache/disk_collector.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace stokefs::cache {

DiskCollector::Added DiskCollector::Add(const ChunkEntry& entry, std::span<const std::byte> bytes,
                                        base::TimePoint now) {
  uint64_t const name = NameOf(entry.sample, entry.extent);
  base::MutexLock lock(mu_);
  auto const known = pending_.find(name);
  if (known != pending_.end() && known->second.tag == entry.tag) return Added::kKnown;
  // Blocks larger than a bundle are bounded by bytes, not by the number of bundles.
  uint64_t const bytes_max = options_.bundles_max * options_.bundle_bytes;
  if (pending_bytes_ > 0 && pending_bytes_ + bytes.size() > bytes_max) {
    SealFilling(base::TimePoint::max());  // or nobody would make room
    return Added::kFull;
  }
  std::unique_ptr<DiskBundle>& filling = filling_[entry.extent % filling_.size()];
  // Another version of it waits: a file holds one of each, so this one comes after.
  bool const is_twin = known != pending_.end() && known->second.bundle == filling.get();
  bool const is_full = filling != nullptr && !filling->entries.empty() &&
                       (filling->bytes.size() + bytes.size() > options_.bundle_bytes ||
                        filling->entries.size() >= options_.bundle_blocks);
  if (is_twin || is_full) sealed_.push_back(std::exchange(filling, nullptr));
  if (filling == nullptr) {
    if (bundle_count_ >= options_.bundles_max) return Added::kFull;
    filling = std::make_unique<DiskBundle>();
    filling->bytes.reserve(std::max<uint64_t>(options_.bundle_bytes, bytes.size()));
    CountBundles(bundle_count_ + 1);
  }
  filling->starts.push_back(filling->bytes.size());
  filling->entries.push_back(entry);
  filling->bytes.insert(filling->bytes.end(), bytes.begin(), bytes.end());
  filling->last_added = now;
  pending_bytes_ += bytes.size();
  pending_[name] = {filling.get(), filling->entries.size() - 1, entry.tag};
  return Added::kAdded;
}

bool DiskCollector::Read(BlockName block, std::span<std::byte> into) const {
  base::MutexLock lock(mu_);
  auto const found = pending_.find(block.name);
  if (found == pending_.end() || found->second.tag != block.tag) return false;
  std::span<const std::byte> const bytes = found->second.bundle->BytesOf(found->second.index);
  if (bytes.size() != into.size()) return false;
  std::memcpy(into.data(), bytes.data(), bytes.size());
  return true;
}

bool DiskCollector::Has(BlockName block) const {
  base::MutexLock lock(mu_);
  auto const found = pending_.find(block.name);
  return found != pending_.end() && found->second.tag == block.tag;
}

void DiskCollector::Seal(base::TimePoint before) {
  base::MutexLock lock(mu_);
  SealFilling(before);
}

void DiskCollector::SealFilling(base::TimePoint before) {
  for (std::unique_ptr<DiskBundle>& filling : filling_) {
    if (filling != nullptr && filling->last_added <= before)
      sealed_.push_back(std::exchange(filling, nullptr));
  }
}

std::unique_ptr<DiskBundle> DiskCollector::TakeSealed() {
  base::MutexLock lock(mu_);
  if (sealed_.empty()) return nullptr;
  auto bundle = std::move(sealed_.front());
  sealed_.pop_front();
  return bundle;
}

void DiskCollector::GiveBack(std::unique_ptr<DiskBundle> bundle) {
  base::MutexLock lock(mu_);
  sealed_.push_front(std::move(bundle));
}

void DiskCollector::Finish(std::unique_ptr<DiskBundle> bundle) {
  base::MutexLock lock(mu_);
  for (ChunkEntry const& entry : bundle->entries) {
    auto const found = pending_.find(NameOf(entry.sample, entry.extent));
    bool const is_ours = found != pending_.end() && found->second.bundle == bundle.get();
    if (is_ours) pending_.erase(found);
  }
  pending_bytes_ -= bundle->bytes.size();
  CountBundles(bundle_count_ - 1);
}

size_t DiskCollector::SealedCount() const {
  base::MutexLock lock(mu_);
  return sealed_.size();
}

bool DiskCollector::IsEmpty() const {
  base::MutexLock lock(mu_);
  return bundle_count_ == 0;
}

uint64_t DiskCollector::PendingBytes() const {
  base::MutexLock lock(mu_);
  return pending_bytes_;
}

}  // namespace stokefs::cache
