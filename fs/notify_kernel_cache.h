// The kernel's cache of one dataset mount, steered by FUSE notifications.
#pragma once

#include <atomic>

#include "cache/catalog.h"
#include "cache/kernel_cache.h"
#include "fs/fuse_session.h"

namespace stokefs::fs {

// Thread-safe; calls block as cache/kernel_cache.h says. Made before the mount, because the read
// path reports to those who steer; until a session is attached every call answers ENOTCONN.
class NotifyKernelCache final : public cache::KernelCache {
 public:
  // `session` outlives the last call.
  void Attach(fuse_session* session) { session_.store(session, std::memory_order_release); }

  base::Status Push(cache::NodeId node, uint64_t offset, std::span<const std::byte> bytes) override;
  base::Status Drop(cache::NodeId node) override;
  base::Status DropName(cache::NodeId folder, std::string_view name) override;

 private:
  std::atomic<fuse_session*> session_{nullptr};  // atomic: attached while observers run already
};

// Makes the kernel forget what the catalog found changed.
class ChangeForwarder final : public cache::ChangeListener {
 public:
  explicit ChangeForwarder(cache::KernelCache& kernel) : kernel_(kernel) {}

  void OnNameChanged(cache::NodeId folder, std::string_view name) override;
  void OnFolderChanged(cache::NodeId folder) override;

 private:
  cache::KernelCache& kernel_;
};

}  // namespace stokefs::fs
