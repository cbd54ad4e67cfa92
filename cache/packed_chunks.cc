#include "cache/packed_chunks.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <utility>

#include "cache/byte_codec.h"
#include "cache/packed_manifest.h"

namespace stokefs::cache {

base::Result<size_t> ReadPiecesAt(int fd, std::span<iovec> pieces, uint64_t offset) {
  size_t done = 0;
  while (!pieces.empty()) {
    auto const count = static_cast<int>(std::min<size_t>(pieces.size(), IOV_MAX));
    ssize_t const got = preadv(fd, pieces.data(), count, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return base::FailErrno(errno, "read");
    if (got == 0) break;
    done += static_cast<size_t>(got);
    for (auto left = static_cast<size_t>(got); left > 0;) {
      iovec& first = pieces.front();
      size_t const taken = std::min(left, first.iov_len);
      first.iov_base = static_cast<char*>(first.iov_base) + taken;
      first.iov_len -= taken;
      left -= taken;
      if (first.iov_len == 0) pieces = pieces.subspan(1);
    }
  }
  return done;
}

const ChunkEntry* FindEntry(const ChunkHead& head, SampleId sample, uint32_t extent) {
  auto const found = std::lower_bound(
      head.entries.begin(), head.entries.end(), std::pair(sample, extent),
      [](const ChunkEntry& entry, const std::pair<SampleId, uint32_t>& key) {
        return entry.sample != key.first ? entry.sample < key.first : entry.extent < key.second;
      });
  bool const is_it =
      found != head.entries.end() && found->sample == sample && found->extent == extent;
  return is_it ? &*found : nullptr;
}

base::Result<std::shared_ptr<const ChunkHead>> PackedChunks::Head(
    const PackedIndex::ChunkFile& file) {
  if (auto held = heads_.Find(file.checksum)) return held;
  auto read = ReadHead(file);
  if (!read) {
    Forget(file.checksum);
    return base::Wrap(std::move(read.error()), PackedChunkName(file.checksum));
  }
  size_t const weight = sizeof(ChunkHead) + read->entries.size() * sizeof(ChunkEntry);
  auto held = std::make_shared<const ChunkHead>(std::move(*read));
  heads_.Put(file.checksum, held, weight);
  return held;
}

base::Result<ChunkHead> PackedChunks::ReadHead(const PackedIndex::ChunkFile& file) {
  auto const fd = File(file.checksum);
  if (!fd) return tl::unexpected<base::Error>(fd.error());
  if (file.entry_count > kChunkEntryCountMax) return base::FailErrno(EBADMSG, "count");
  auto const bytes = ReadExactly((*fd)->Get(), 0, HeadBytes(file.entry_count));
  if (!bytes) return tl::unexpected<base::Error>(bytes.error());
  auto head = ParseChunkHead(*bytes);
  if (!head) return head;
  auto const checksum =
      ByteReader(std::string_view(*bytes).substr(bytes->size() - 8)).Get<uint64_t>();
  if (head->entries.size() != file.entry_count || head->file_bytes != file.file_bytes ||
      checksum != file.checksum) {
    return base::FailErrno(EBADMSG, "another file's head");
  }
  return head;
}

base::Result<std::shared_ptr<const base::UniqueFd>> PackedChunks::File(uint64_t checksum) {
  if (auto held = files_.Find(checksum)) return held;
  std::string const name = PackedChunkName(checksum);
  auto fd = std::make_shared<const base::UniqueFd>(
      openat(folder_, name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
  if (!fd->Valid()) return base::FailErrno(errno, name);
  files_.Put(checksum, fd, 1);
  return fd;
}

void PackedChunks::Forget(uint64_t checksum) {
  heads_.Drop(checksum);
  files_.Drop(checksum);
}

}  // namespace stokefs::cache
