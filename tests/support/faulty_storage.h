// A disk that has a bad day: calls fail, it fills up, turns read-only, or the machine crashes and
// what was not synced is gone. Works on real files below a folder of the test's own.
//
// After a crash the same folder is opened through a new object. Thread-safe.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/storage.h"
#include "base/sync.h"

namespace stokefs::testing {

enum class StorageCall : uint8_t {
  kMakeFolders,
  kListFiles,
  kListFolders,
  kWriteNew,
  kRename,
  kSyncFolder,
  kRemove,
  kOpenToRead,
  kSpace,
  kTryDirectReads,
};

class FaultyStorage final : public base::Storage {
 public:
  explicit FaultyStorage(base::Storage& inner, uint64_t seed = 1);
  ~FaultyStorage() override;

  // The nth call of `kind` from now on, from 1, fails. A failed WriteNew leaves half of the file.
  void FailNth(StorageCall kind, size_t n, int error);
  void FailAll(StorageCall kind, int error);  // 0: no more
  void SetReadOnly();                         // EROFS for all that changes something
  // ENOSPC once that many bytes were written; the file that meets the end is there by half.
  void SetCapacity(uint64_t bytes);
  // Called before each call, without a lock: to wait, or to change files behind its back.
  void SetHook(std::function<void(StorageCall, const std::string& path)> hook);

  size_t CallCount(StorageCall kind) const;
  size_t ChangeCount() const;  // calls that change something

  // The machine stops in the nth change from now on, from 1: that one is done by half or not at
  // all, and every call from then on fails with EIO.
  void StopAtChange(size_t n);
  // The disk says that it synced, and did not.
  void SetSyncsLost();
  // What a crash leaves: a beginning of the names' changes that were not synced, none of the later
  // ones; files that were not synced empty, zeros, or cut at a multiple of 4 KiB. The object is of
  // no use after it.
  void Crash();

  base::Status MakeFolders(const std::string& path) override;
  base::Result<std::vector<base::StoredFile>> ListFiles(const std::string& folder) override;
  base::Result<std::vector<std::string>> ListFolders(const std::string& folder) override;
  base::Result<base::StoredFile> WriteNew(const std::string& path,
                                          std::span<const std::byte> bytes) override;
  base::Status Rename(const std::string& from, const std::string& to) override;
  base::Status SyncFolder(const std::string& folder) override;
  base::Status Remove(const std::string& path) override;
  base::Result<base::UniqueFd> OpenToRead(const std::string& path, int flags) override;
  base::Result<base::StorageSpace> Space(const std::string& folder) override;
  base::Status TryDirectReads(const std::string& folder) override;

 private:
  static constexpr size_t kCallCount = 10;

  // A name that came to be: made, if `from` is empty, else renamed.
  struct NewName {
    std::string from;
    std::string to;
  };
  enum class Fate : uint8_t { kDone, kFails, kStopsMachine };
  struct Verdict {
    Fate fate = Fate::kDone;
    int error = 0;
  };

  Verdict Judge(StorageCall kind, const std::string& path) EXCLUDES(mu_);
  // Ok, or the error with which the call fails.
  base::Status Admit(StorageCall kind, const std::string& path) EXCLUDES(mu_);
  size_t RandomBelow(size_t bound) REQUIRES(mu_);
  void WriteByHalf(const std::string& path, std::span<const std::byte> bytes) EXCLUDES(mu_);
  void Damage(const std::string& path) REQUIRES(mu_);

  base::Storage& inner_;
  mutable base::Mutex mu_;
  std::mt19937_64 random_ GUARDED_BY(mu_);
  std::function<void(StorageCall, const std::string&)> hook_ GUARDED_BY(mu_);
  std::array<size_t, kCallCount> calls_ GUARDED_BY(mu_){};
  std::map<std::pair<StorageCall, size_t>, int> fail_nth_ GUARDED_BY(mu_);
  std::array<int, kCallCount> fail_all_ GUARDED_BY(mu_){};
  bool read_only_ GUARDED_BY(mu_) = false;
  bool syncs_lost_ GUARDED_BY(mu_) = false;
  uint64_t capacity_bytes_ GUARDED_BY(mu_) = ~uint64_t{0};
  size_t changes_ GUARDED_BY(mu_) = 0;
  size_t stop_at_change_ GUARDED_BY(mu_) = ~size_t{0};
  bool stopped_ GUARDED_BY(mu_) = false;
  std::vector<NewName> names_ GUARDED_BY(mu_);      // not synced, in order
  std::vector<std::string> files_ GUARDED_BY(mu_);  // whose bytes were not synced, as named now
};

}  // namespace stokefs::testing
