#include "tests/support/faulty_storage.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/check.h"

namespace stokefs::testing {
namespace {

namespace fs = std::filesystem;

constexpr size_t kBlockBytes = 4096;

bool Changes(StorageCall kind) {
  switch (kind) {
    case StorageCall::kMakeFolders:
    case StorageCall::kWriteNew:
    case StorageCall::kRename:
    case StorageCall::kSyncFolder:
    case StorageCall::kRemove:
      return true;
    default:
      return false;
  }
}

std::string FolderOf(const std::string& path) { return fs::path(path).parent_path().string(); }

}  // namespace

FaultyStorage::FaultyStorage(base::Storage& inner, uint64_t seed) : inner_(inner), random_(seed) {}
FaultyStorage::~FaultyStorage() = default;

void FaultyStorage::FailNth(StorageCall kind, size_t n, int error) {
  base::MutexLock lock(mu_);
  fail_nth_[{kind, calls_[static_cast<size_t>(kind)] + n}] = error;
}

void FaultyStorage::FailAll(StorageCall kind, int error) {
  base::MutexLock lock(mu_);
  fail_all_[static_cast<size_t>(kind)] = error;
}

void FaultyStorage::SetReadOnly() {
  base::MutexLock lock(mu_);
  read_only_ = true;
}

void FaultyStorage::SetCapacity(uint64_t bytes) {
  base::MutexLock lock(mu_);
  capacity_bytes_ = bytes;
}

void FaultyStorage::SetHook(std::function<void(StorageCall, const std::string&)> hook) {
  base::MutexLock lock(mu_);
  hook_ = std::move(hook);
}

size_t FaultyStorage::CallCount(StorageCall kind) const {
  base::MutexLock lock(mu_);
  return calls_[static_cast<size_t>(kind)];
}

size_t FaultyStorage::ChangeCount() const {
  base::MutexLock lock(mu_);
  return changes_;
}

void FaultyStorage::StopAtChange(size_t n) {
  base::MutexLock lock(mu_);
  stop_at_change_ = changes_ + n;
}

void FaultyStorage::SetSyncsLost() {
  base::MutexLock lock(mu_);
  syncs_lost_ = true;
}

void FaultyStorage::Crash() {
  base::MutexLock lock(mu_);
  stopped_ = true;
  for (std::string const& file : files_) Damage(file);
  size_t const kept = RandomBelow(names_.size() + 1);
  while (names_.size() > kept) {
    NewName const name = std::move(names_.back());
    names_.pop_back();
    std::error_code gone_already;
    if (name.from.empty()) {
      fs::remove(name.to, gone_already);
    } else {
      fs::rename(name.to, name.from, gone_already);
    }
  }
}

FaultyStorage::Verdict FaultyStorage::Judge(StorageCall kind, const std::string& path) {
  std::function<void(StorageCall, const std::string&)> hook;
  {
    base::MutexLock lock(mu_);
    hook = hook_;
  }
  if (hook) hook(kind, path);
  base::MutexLock lock(mu_);
  auto const index = static_cast<size_t>(kind);
  ++calls_[index];
  if (stopped_) return {Fate::kFails, EIO};
  if (Changes(kind)) {
    if (++changes_ == stop_at_change_) {
      stopped_ = true;
      return {Fate::kStopsMachine, EIO};
    }
    if (read_only_) return {Fate::kFails, EROFS};
  }
  if (fail_all_[index] != 0) return {Fate::kFails, fail_all_[index]};
  auto const nth = fail_nth_.find({kind, calls_[index]});
  if (nth != fail_nth_.end()) return {Fate::kFails, nth->second};
  return {};
}

base::Status FaultyStorage::Admit(StorageCall kind, const std::string& path) {
  Verdict const verdict = Judge(kind, path);
  if (verdict.fate == Fate::kDone) return {};
  return base::FailErrno(verdict.error, path);
}

size_t FaultyStorage::RandomBelow(size_t bound) { return random_() % bound; }

void FaultyStorage::WriteByHalf(const std::string& path, std::span<const std::byte> bytes) {
  if (!inner_.WriteNew(path, bytes)) return;
  base::MutexLock lock(mu_);
  names_.push_back({.from = "", .to = path});
  files_.push_back(path);
}

void FaultyStorage::Damage(const std::string& path) {
  std::error_code error;
  auto const size = fs::file_size(path, error);
  if (error) return;  // removed since
  size_t const blocks = (size + kBlockBytes - 1) / kBlockBytes;
  size_t const kept = RandomBelow(blocks + 1) * kBlockBytes;
  switch (RandomBelow(3)) {
    case 0:
      fs::resize_file(path, 0);
      break;
    case 1:
      fs::resize_file(path, std::min<uintmax_t>(kept, size));
      break;
    default:  // its length is known, its blocks are not
      fs::resize_file(path, std::min<uintmax_t>(kept, size));
      fs::resize_file(path, size);
  }
}

base::Status FaultyStorage::MakeFolders(const std::string& path) {
  if (base::Status admitted = Admit(StorageCall::kMakeFolders, path); !admitted) return admitted;
  return inner_.MakeFolders(path);
}

base::Result<std::vector<base::StoredFile>> FaultyStorage::ListFiles(const std::string& folder) {
  if (base::Status admitted = Admit(StorageCall::kListFiles, folder); !admitted) {
    return tl::unexpected(admitted.error());
  }
  return inner_.ListFiles(folder);
}

base::Result<std::vector<std::string>> FaultyStorage::ListFolders(const std::string& folder) {
  if (base::Status admitted = Admit(StorageCall::kListFolders, folder); !admitted) {
    return tl::unexpected(admitted.error());
  }
  return inner_.ListFolders(folder);
}

base::Result<base::StoredFile> FaultyStorage::WriteNew(const std::string& path,
                                                       std::span<const std::byte> bytes) {
  Verdict const verdict = Judge(StorageCall::kWriteNew, path);
  if (verdict.fate != Fate::kDone) {
    if (verdict.error != EROFS && verdict.error != EEXIST && verdict.error != ENOENT) {
      WriteByHalf(path, bytes.first(bytes.size() / 2));
    }
    return base::FailErrno(verdict.error, path);
  }
  uint64_t room = 0;
  {
    base::MutexLock lock(mu_);
    room = std::min<uint64_t>(capacity_bytes_, bytes.size());
    if (capacity_bytes_ != ~uint64_t{0}) capacity_bytes_ -= room;
  }
  if (room < bytes.size()) {
    WriteByHalf(path, bytes.first(room));
    return base::FailErrno(ENOSPC, path);
  }
  auto written = inner_.WriteNew(path, bytes);
  base::MutexLock lock(mu_);
  if (written) {
    names_.push_back({.from = "", .to = path});
    if (syncs_lost_) files_.push_back(path);
  }
  return written;
}

base::Status FaultyStorage::Rename(const std::string& from, const std::string& to) {
  if (base::Status admitted = Admit(StorageCall::kRename, to); !admitted) return admitted;
  if (base::Status renamed = inner_.Rename(from, to); !renamed) return renamed;
  base::MutexLock lock(mu_);
  names_.push_back({.from = from, .to = to});
  std::replace(files_.begin(), files_.end(), from, to);
  return {};
}

base::Status FaultyStorage::SyncFolder(const std::string& folder) {
  if (base::Status admitted = Admit(StorageCall::kSyncFolder, folder); !admitted) return admitted;
  if (base::Status synced = inner_.SyncFolder(folder); !synced) return synced;
  base::MutexLock lock(mu_);
  if (syncs_lost_) return {};
  std::erase_if(names_, [&](const NewName& name) { return FolderOf(name.to) == folder; });
  return {};
}

base::Status FaultyStorage::Remove(const std::string& path) {
  if (base::Status admitted = Admit(StorageCall::kRemove, path); !admitted) return admitted;
  return inner_.Remove(path);
}

base::Result<base::UniqueFd> FaultyStorage::OpenToRead(const std::string& path, int flags) {
  if (base::Status admitted = Admit(StorageCall::kOpenToRead, path); !admitted) {
    return tl::unexpected(admitted.error());
  }
  return inner_.OpenToRead(path, flags);
}

base::Result<base::StorageSpace> FaultyStorage::Space(const std::string& folder) {
  if (base::Status admitted = Admit(StorageCall::kSpace, folder); !admitted) {
    return tl::unexpected(admitted.error());
  }
  return inner_.Space(folder);
}

base::Status FaultyStorage::TryDirectReads(const std::string& folder) {
  if (base::Status admitted = Admit(StorageCall::kTryDirectReads, folder); !admitted) {
    return admitted;
  }
  return inner_.TryDirectReads(folder);
}

}  // namespace stokefs::testing
