#include "cache/pack_output.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <new>
#include <utility>

#include "cache/byte_codec.h"
#include "cache/digest.h"
#include "cache/pack_plan.h"
#include "cache/packed_dataset.h"
#include "cache/packed_table.h"

namespace stokefs::cache {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kLockText = "stokefs pack\n";

base::Result<std::vector<std::string>> Names(const std::string& folder) {
  std::error_code error;
  std::vector<std::string> names;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    names.push_back(it->path().filename());
  }
  if (error) return base::FailErrno(error.value(), folder);
  return names;
}

// Whether a folder may be filled: it is empty, or was made by a pack.
base::Status CheckOurs(const std::string& path) {
  auto const names = Names(path);
  if (!names) return tl::unexpected(names.error());
  auto const is_nothing = [](const std::string& name) { return name == "lost+found"; };
  if (std::all_of(names->begin(), names->end(), is_nothing)) return {};
  auto const lock = base::ReadFile(path + "/lock");
  if (lock && *lock == kLockText) return {};
  base::UniqueFd const folder(open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (auto const found = ReadPackedManifest(folder.Get());
      found || found.error().Errno() == EPROTONOSUPPORT) {
    return {};
  }
  return base::FailErrno(ENOTEMPTY, path + " is no packed dataset");
}

base::Result<base::UniqueFd> TakeLock(const std::string& path) {
  std::string const name = path + "/lock";
  base::UniqueFd lock(open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!lock.Valid()) return base::FailErrno(errno, name);
  if (flock(lock.Get(), LOCK_EX | LOCK_NB) != 0) {
    return base::FailErrno(errno == EWOULDBLOCK ? EBUSY : errno, path + " is being packed");
  }
  if (ftruncate(lock.Get(), 0) != 0) return base::FailErrno(errno, name);
  if (auto written = base::WriteAll(lock.Get(), kLockText); !written) {
    return base::Wrap(written.error(), name);
  }
  return lock;
}

base::Status SyncFolder(const std::string& path) {
  base::UniqueFd const folder(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.Valid() || fsync(folder.Get()) != 0) return base::FailErrno(errno, "sync " + path);
  return {};
}

base::Result<ChunkHead> ReadHead(int fd, uint64_t checksum) {
  std::string start(kChunkAlignment, '\0');
  auto const got = base::ReadAt(fd, std::as_writable_bytes(std::span(start)), 0);
  if (!got) return tl::unexpected<base::Error>(got.error());
  start.resize(*got);
  auto const head_bytes = HeadBytesOf(start);
  if (!head_bytes) return tl::unexpected<base::Error>(head_bytes.error());
  auto const bytes = ReadExactly(fd, 0, *head_bytes);
  if (!bytes) return tl::unexpected<base::Error>(bytes.error());
  auto head = ParseChunkHead(*bytes);
  auto const own = ByteReader(std::string_view(*bytes).substr(bytes->size() - 8)).Get<uint64_t>();
  if (head && own != checksum) return base::FailErrno(EBADMSG, "another file's head");
  return head;
}

// The file of a right name, or nothing.
std::optional<uint64_t> ChecksumOfName(const std::string& name) {
  if (name.size() != 22 || name.substr(16) != ".chunk") return std::nullopt;
  std::string const digits = name.substr(0, 16);
  if (digits.find_first_not_of("0123456789abcdef") != digits.npos) return std::nullopt;
  return strtoull(digits.c_str(), nullptr, 16);
}

// With O_DIRECT the bytes go to the disk once, without a copy, and push nothing out of memory; not
// every file system has it.
base::Status WriteImage(const std::string& path, std::span<const std::byte> image) {
  std::string_view const bytes(reinterpret_cast<const char*>(image.data()), image.size());
  int const flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW;
  base::UniqueFd fd(open(path.c_str(), flags | O_DIRECT, 0644));
  bool is_direct = fd.Valid();
  if (!is_direct) fd = base::UniqueFd(open(path.c_str(), flags, 0644));
  if (!fd.Valid()) return base::FailErrno(errno, path);
  base::Status written = base::WriteAll(fd.Get(), bytes);
  if (!written && is_direct && written.error().code == std::errc::invalid_argument) {
    fd = base::UniqueFd(open(path.c_str(), flags, 0644));
    written = fd.Valid() ? base::WriteAll(fd.Get(), bytes) : base::FailErrno(errno, path);
  }
  if (written && fsync(fd.Get()) != 0) written = base::FailErrno(errno, "sync");
  return written ? written : base::Wrap(written.error(), path);
}

}  // namespace

std::span<std::byte> AlignedBuffer::Get(size_t bytes) {
  if (bytes > bytes_) {
    memory_.reset();
    bytes_ = (bytes + kChunkAlignment - 1) / kChunkAlignment * kChunkAlignment;
    memory_.reset(static_cast<std::byte*>(std::aligned_alloc(kChunkAlignment, bytes_)));
    if (memory_ == nullptr) throw std::bad_alloc();
  }
  return {memory_.get(), bytes};
}

void AlignedBuffer::Trim(size_t bytes_max) {
  if (bytes_ <= bytes_max) return;
  memory_.reset();
  bytes_ = 0;
}

void AlignedBuffer::Free::operator()(std::byte* memory) const { std::free(memory); }

base::Result<std::unique_ptr<PackOutput>> PackOutput::Open(std::string path) {
  if (auto made = base::MakeFolders(path); !made) return tl::unexpected(made.error());
  if (auto ours = CheckOurs(path); !ours) return tl::unexpected(ours.error());
  auto lock = TakeLock(path);
  if (!lock) return tl::unexpected(lock.error());
  std::unique_ptr<PackOutput> output(new PackOutput(std::move(path), std::move(*lock)));
  if (auto found = output->FindChunks(); !found) return tl::unexpected(found.error());
  return output;
}

base::Status PackOutput::FindChunks() {
  for (unsigned value = 0; value < 256; ++value) {
    std::string const folder = ChunkFolder(value);
    auto const names = Names(folder);
    if (!names && names.error().code == std::errc::no_such_file_or_directory) continue;
    if (!names) return tl::unexpected(names.error());
    for (std::string const& name : *names) {
      auto const checksum = ChecksumOfName(name);
      if (!checksum) continue;
      base::UniqueFd const fd(
          open((folder + "/" + name).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
      if (!fd.Valid()) continue;
      auto const head = ReadHead(fd.Get(), *checksum);
      if (!head) continue;  // damaged: removed in the end
      base::MutexLock lock(mu_);
      chunks_[MembersOf(*head)] = {.checksum = *checksum};
    }
  }
  return {};
}

std::optional<ChunkHead> PackOutput::FindWhole(const ChunkHead& planned, AlignedBuffer& scratch) {
  SampleId const members = MembersOf(planned);
  Found found;
  {
    base::MutexLock lock(mu_);
    auto const it = chunks_.find(members);
    if (it == chunks_.end()) return std::nullopt;
    found = it->second;
  }
  std::string const path = path_ + "/" + PackedChunkName(found.checksum);
  base::UniqueFd const fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  struct stat st {};
  if (!fd.Valid() || fstat(fd.Get(), &st) != 0) return std::nullopt;
  auto head = ReadHead(fd.Get(), found.checksum);
  if (!head || static_cast<uint64_t>(st.st_size) != head->file_bytes ||
      head->file_bytes != planned.file_bytes) {
    return std::nullopt;
  }
  if (!found.is_checked) {
    std::span<std::byte> const bytes = scratch.Get(head->file_bytes);
    auto const got = base::ReadAt(fd.Get(), bytes, 0);
    if (!got || *got != bytes.size()) return std::nullopt;
    for (ChunkEntry const& entry : head->entries) {
      if (DigestOf(bytes.subspan(entry.offset, entry.size_bytes)) != entry.digest) {
        return std::nullopt;
      }
    }
    base::MutexLock lock(mu_);
    chunks_[members].is_checked = true;
  }
  return std::move(*head);
}

base::Status PackOutput::WriteChunk(uint64_t checksum, SampleId members,
                                    std::span<const std::byte> image) {
  std::string const path = path_ + "/" + PackedChunkName(checksum);
  std::string const temporary = path + ".new";
  auto const folder = static_cast<unsigned>(checksum >> 56);
  base::Status status = base::MakeFolders(ChunkFolder(folder));
  if (status) status = WriteImage(temporary, image);
  if (status && rename(temporary.c_str(), path.c_str()) != 0) {
    status = base::FailErrno(errno, path);
  }
  if (!status) {
    unlink(temporary.c_str());
    return status;
  }
  base::MutexLock lock(mu_);
  changed_folders_.insert(folder);
  chunks_[members] = {.checksum = checksum, .is_checked = true};
  return {};
}

base::Status PackOutput::SyncFolders() {
  std::set<unsigned> changed;
  {
    base::MutexLock lock(mu_);
    changed = changed_folders_;
  }
  for (unsigned const folder : changed) {
    if (auto synced = SyncFolder(ChunkFolder(folder)); !synced) return synced;
  }
  if (changed.empty()) return {};
  return SyncFolder(path_ + "/" + kChunksName);
}

std::string PackOutput::ChunkFolder(unsigned first_byte) const {
  return path_ + "/" + PackedChunkFolder(uint64_t{first_byte} << 56);
}

base::Status PackOutput::Commit(const PackedManifest& manifest, std::vector<uint64_t> checksums) {
  auto status =
      base::WriteFileAtomically(path_ + "/" + kManifestName, EncodePackedManifest(manifest));
  if (status) status = SyncFolder(path_);
  if (!status) return status;
  std::sort(checksums.begin(), checksums.end());
  RemoveOthers(manifest, std::move(checksums));
  return {};
}

// Only what a pack made, by its name; what cannot be removed costs nothing but its room.
void PackOutput::RemoveOthers(const PackedManifest& manifest,
                              std::vector<uint64_t> sorted_checksums) {
  for (unsigned value = 0; value < 256; ++value) {
    std::string const folder = ChunkFolder(value);
    for (std::string const& name : Names(folder).value_or(std::vector<std::string>())) {
      auto const checksum = ChecksumOfName(name);
      bool const is_needed = checksum && std::binary_search(sorted_checksums.begin(),
                                                            sorted_checksums.end(), *checksum);
      bool const is_ours = checksum || name.ends_with(".chunk.new");
      if (is_ours && !is_needed) unlink((folder + "/" + name).c_str());
    }
  }
  for (std::string const& name : Names(path_).value_or(std::vector<std::string>())) {
    bool const is_ours = name.ends_with(".index") || name == "index.new" ||
                         name.starts_with(std::string(kManifestName) + ".new.");
    if (is_ours && name != manifest.IndexName()) unlink((path_ + "/" + name).c_str());
  }
}

}  // namespace stokefs::cache
