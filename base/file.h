// Owned descriptors and whole reads and writes: what the kernel may do in pieces, done whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace stokefs::base {

class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  ~UniqueFd() { Reset(); }
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) {
      Reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }

  int Get() const { return fd_; }
  bool Valid() const { return fd_ >= 0; }
  int Release() { return std::exchange(fd_, -1); }
  void Reset();

 private:
  int fd_ = -1;
};

// Bytes read from `offset` until `into` is full or the file ends; EINTR is retried.
Result<size_t> ReadAt(int fd, std::span<std::byte> into, uint64_t offset);

// All of `bytes`, or an error.
Status WriteAll(int fd, std::string_view bytes);

// The whole file, at most `size_max` bytes (EFBIG beyond).
Result<std::string> ReadFile(const std::string& path, size_t size_max = 1 << 20);

// Replaces `path` by a file with `bytes`: written beside it, fsynced, renamed.
Status WriteFileAtomically(const std::string& path, std::string_view bytes, unsigned mode = 0644);

// mkdir -p; existing folders are fine. New ones get `mode`.
Status MakeFolders(const std::string& path, unsigned mode = 0755);

}  // namespace stokefs::base
