// The memory that all slots lie in: one memfd, mapped shared, so that local clients can map it too.
//
// The seals (fcntl(2)): it cannot shrink or grow, no new mapping or descriptor can write to it
// (F_SEAL_FUTURE_WRITE: the daemon's own mapping, made before, still can), and no seal can be
// added. Pages become physical as they are touched; none is part of a core dump.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/file.h"
#include "base/result.h"

namespace stokefs::cache {

class Arena {
 public:
  // `budget_bytes` is rounded down to whole pages. EINVAL for less than one page; else what
  // memfd_create, ftruncate, mmap or fcntl said (ENOMEM, EMFILE, ...).
  static base::Result<std::unique_ptr<Arena>> Create(uint64_t budget_bytes);
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  std::byte* data() const { return data_; }
  uint64_t size_bytes() const { return size_bytes_; }
  int memfd() const { return memfd_.Get(); }

 private:
  Arena(base::UniqueFd memfd, std::byte* data, uint64_t size_bytes);

  const base::UniqueFd memfd_;
  std::byte* const data_;
  const uint64_t size_bytes_;
};

}  // namespace stokefs::cache
