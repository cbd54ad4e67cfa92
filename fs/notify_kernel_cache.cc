#include "fs/notify_kernel_cache.h"

#include <cerrno>
#include <string>

namespace stokefs::fs {
namespace {

base::Status StatusOf(int result, const char* what) {
  if (result == 0) return {};
  return base::FailErrno(-result, what);
}

base::Status NotMounted() { return base::FailErrno(ENOTCONN, "kernel cache"); }

}  // namespace

base::Status NotifyKernelCache::Push(cache::NodeId node, uint64_t offset,
                                     std::span<const std::byte> bytes) {
  fuse_session* const session = session_.load(std::memory_order_acquire);
  if (session == nullptr) return NotMounted();
  // libfuse only reads from the buffer.
  fuse_bufvec buffer{};  // not FUSE_BUFVEC_INIT: a compound literal is no C++
  buffer.count = 1;
  buffer.buf[0].fd = -1;
  buffer.buf[0].size = bytes.size();
  buffer.buf[0].mem = const_cast<std::byte*>(bytes.data());
  return StatusOf(fuse_lowlevel_notify_store(session, node.value, static_cast<off_t>(offset),
                                             &buffer, static_cast<fuse_buf_copy_flags>(0)),
                  "push pages");
}

base::Status NotifyKernelCache::Drop(cache::NodeId node) {
  fuse_session* const session = session_.load(std::memory_order_acquire);
  if (session == nullptr) return NotMounted();
  return StatusOf(fuse_lowlevel_notify_inval_inode(session, node.value, 0, 0), "drop pages");
}

base::Status NotifyKernelCache::DropName(cache::NodeId folder, std::string_view name) {
  fuse_session* const session = session_.load(std::memory_order_acquire);
  if (session == nullptr) return NotMounted();
  std::string const text(name);
  return StatusOf(
      fuse_lowlevel_notify_inval_entry(session, folder.value, text.c_str(), text.size()),
      "drop a name");
}

// ENOENT from the kernel means that it held nothing: as good as dropped.
void ChangeForwarder::OnNameChanged(cache::NodeId folder, std::string_view name) {
  (void)kernel_.DropName(folder, name);
}

void ChangeForwarder::OnFolderChanged(cache::NodeId folder) { (void)kernel_.Drop(folder); }

}  // namespace stokefs::fs
