#include "cache/arena.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace stokefs::cache {

base::Result<std::unique_ptr<Arena>> Arena::Create(uint64_t budget_bytes) {
  auto const page_bytes = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  uint64_t const size_bytes = budget_bytes / page_bytes * page_bytes;
  if (size_bytes == 0)
    return base::Fail(std::errc::invalid_argument, "arena: the budget is less than one page");

  base::UniqueFd memfd(memfd_create("stokefs-arena", MFD_ALLOW_SEALING | MFD_CLOEXEC));
  if (!memfd.Valid()) return base::FailErrno(errno, "arena: memfd_create");
  if (ftruncate(memfd.Get(), static_cast<off_t>(size_bytes)) != 0)
    return base::FailErrno(errno, "arena: ftruncate");
  void* const data = mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memfd.Get(), 0);
  if (data == MAP_FAILED) return base::FailErrno(errno, "arena: mmap");
  std::unique_ptr<Arena> arena(
      new Arena(std::move(memfd), static_cast<std::byte*>(data), size_bytes));

  constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;
  if (fcntl(arena->memfd(), F_ADD_SEALS, kSeals) != 0)
    return base::FailErrno(errno, "arena: F_ADD_SEALS");
  if (madvise(data, size_bytes, MADV_DONTDUMP) != 0)
    return base::FailErrno(errno, "arena: MADV_DONTDUMP");
  return arena;
}

Arena::Arena(base::UniqueFd memfd, std::byte* data, uint64_t size_bytes)
    : memfd_(std::move(memfd)), data_(data), size_bytes_(size_bytes) {}

Arena::~Arena() { munmap(data_, size_bytes_); }

}  // namespace stokefs::cache
