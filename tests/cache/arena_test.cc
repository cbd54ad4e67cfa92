#include "cache/arena.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace stokefs::cache {
namespace {

constexpr uint64_t kMiB = 1 << 20;

std::unique_ptr<Arena> MakeArena(uint64_t bytes) {
  auto arena = Arena::Create(bytes);
  EXPECT_TRUE(arena.has_value());
  return std::move(*arena);
}

TEST(Arena, RoundsItsBudgetDownToPages) {
  auto const page_bytes = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  EXPECT_EQ(MakeArena(3 * page_bytes - 1)->size_bytes(), 2 * page_bytes);
  EXPECT_EQ(Arena::Create(page_bytes - 1).error().code, std::errc::invalid_argument);
}

TEST(Arena, BytesWrittenAreSeenThroughAReadOnlyMappingOfItsMemfd) {
  auto const arena = MakeArena(kMiB);
  void* const view = mmap(nullptr, kMiB, PROT_READ, MAP_SHARED, arena->memfd(), 0);
  ASSERT_NE(view, MAP_FAILED);
  std::strcpy(reinterpret_cast<char*>(arena->data()) + 5000, "sample");
  EXPECT_STREQ(static_cast<char*>(view) + 5000, "sample");
  munmap(view, kMiB);
}

TEST(Arena, NoOtherMappingCanWriteToIt) {
  auto const arena = MakeArena(kMiB);
  EXPECT_EQ(mmap(nullptr, kMiB, PROT_READ | PROT_WRITE, MAP_SHARED, arena->memfd(), 0), MAP_FAILED);
  EXPECT_EQ(errno, EPERM);
  void* const view = mmap(nullptr, kMiB, PROT_READ, MAP_SHARED, arena->memfd(), 0);
  ASSERT_NE(view, MAP_FAILED);
  EXPECT_NE(mprotect(view, kMiB, PROT_READ | PROT_WRITE), 0);
  munmap(view, kMiB);
  EXPECT_EQ(pwrite(arena->memfd(), "x", 1, 0), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(fallocate(arena->memfd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), -1);

  std::string const path = "/proc/self/fd/" + std::to_string(arena->memfd());
  int const again = open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (again >= 0) {  // a new descriptor is bound by the seals all the same
    EXPECT_EQ(mmap(nullptr, kMiB, PROT_READ | PROT_WRITE, MAP_SHARED, again, 0), MAP_FAILED);
    close(again);
  }
}

TEST(Arena, CannotBeResizedNorGetMoreSeals) {
  auto const arena = MakeArena(kMiB);
  EXPECT_EQ(ftruncate(arena->memfd(), kMiB / 2), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(ftruncate(arena->memfd(), 2 * kMiB), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(fcntl(arena->memfd(), F_ADD_SEALS, F_SEAL_WRITE), -1);
  EXPECT_EQ(errno, EPERM);
}

TEST(Arena, PagesBecomePhysicalAsTheyAreTouched) {
  auto const arena = MakeArena(256 * kMiB);
  arena->data()[100 * kMiB] = std::byte{1};
  struct stat status {};
  ASSERT_EQ(fstat(arena->memfd(), &status), 0);
  EXPECT_GT(status.st_blocks, 0);
  EXPECT_LE(static_cast<uint64_t>(status.st_blocks) * 512, 4 * kMiB);  // at most a huge page or two
}

}  // namespace
}  // namespace stokefs::cache
