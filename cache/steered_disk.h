// What steers the disk tier sees of it (DiskTier through DiskTierSteering; a fake in tests).
//
// The calls mean what those of the same name mean in disk_tier.h.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "cache/disk_tier.h"

namespace stokefs::cache {

class SteeredDisk {
 public:
  virtual ~SteeredDisk() = default;
  virtual bool Holds(BlockKey key) const = 0;
  virtual std::optional<DiskTier::Place> Locate(BlockKey key) const = 0;
  virtual DiskUsage Usage() const = 0;
  virtual uint64_t Evict(std::span<const BlockKey> keys) = 0;
  virtual uint64_t EvictAll() = 0;
  virtual uint64_t Pin(std::span<const BlockKey> keys) = 0;
  virtual uint64_t Unpin(std::span<const BlockKey> keys) = 0;
  virtual void Flush() = 0;  // blocks, for its limit at most
  virtual DiskTier::VerifyReport Verify(
      const std::function<bool(const DiskTier::VerifyReport&)>& go_on) = 0;  // blocks
};

class DiskTierSteering final : public SteeredDisk {
 public:
  explicit DiskTierSteering(DiskTier& disk) : disk_(disk) {}

  bool Holds(BlockKey key) const override { return disk_.Holds(key); }
  std::optional<DiskTier::Place> Locate(BlockKey key) const override { return disk_.Locate(key); }
  DiskUsage Usage() const override { return disk_.Usage(); }
  uint64_t Evict(std::span<const BlockKey> keys) override { return disk_.Evict(keys); }
  uint64_t EvictAll() override { return disk_.EvictAll(); }
  uint64_t Pin(std::span<const BlockKey> keys) override { return disk_.Pin(keys); }
  uint64_t Unpin(std::span<const BlockKey> keys) override { return disk_.Unpin(keys); }
  void Flush() override { disk_.Flush(); }
  DiskTier::VerifyReport Verify(
      const std::function<bool(const DiskTier::VerifyReport&)>& go_on) override {
    return disk_.Verify(go_on);
  }

 private:
  DiskTier& disk_;
};

}  // namespace stokefs::cache
