// The start of a directory: opened, and the heads of its files read into the index.
#include <cerrno>
#include <utility>

#include "cache/disk_tier_impl.h"

namespace stokefs::cache {

void DiskTier::Impl::OpenDirectory(uint32_t number) {
  auto opened = ChunkDirectory::Open({.path = options_.folders[number],
                                      .direct = options_.direct,
                                      .open_files_max = options_.open_files_max},
                                     storage_);
  if (!opened) {
    SetState(number, DirectoryState::kRetired, opened.error().message);
    return;
  }
  base::MutexLock lock(mu_);
  directories_[number].files = std::move(*opened);
}

void DiskTier::Impl::Load(uint32_t number) {
  std::shared_ptr<ChunkDirectory> files;
  {
    base::MutexLock lock(mu_);
    files = directories_[number].files;
  }
  if (files != nullptr) {
    std::vector<Doomed> doomed;
    auto const scanned =
        files->Scan([&](FoundChunk found) { OnFound(number, std::move(found), doomed); });
    if (!scanned) SetState(number, DirectoryState::kRetired, scanned.error().message);
    Remove(doomed);
  }
  {
    base::MutexLock lock(mu_);
    directories_[number].loaded = true;
  }
  EndLoad();
}

void DiskTier::Impl::OnFound(uint32_t number, FoundChunk found, std::vector<Doomed>& doomed) {
  // Any other error is not the file's: it counts, and is looked at again after the next start.
  bool const is_damaged = !found.is_bad && !found.head && found.head.error().Errno() == EBADMSG;
  bool const is_foreign =
      found.head && (found.head->dataset != options_.dataset || found.head->layout != layout_tag_);
  std::shared_ptr<ChunkDirectory> files;
  {
    base::MutexLock lock(mu_);
    Directory& directory = directories_[number];
    files = directory.files;
    directory.used_bytes += found.allocated_bytes;
    used_bytes_ += found.allocated_bytes;
    if (found.is_bad || is_damaged) {
      AddBad(number, found.file, found.allocated_bytes, doomed);
    } else if (is_foreign) {
      doomed.push_back({number, found.file, found.allocated_bytes});
    } else if (found.head) {
      index_.AddFile({.directory = number,
                      .id = found.file,
                      .chunk = found.head->id,
                      .allocated_bytes = found.allocated_bytes},
                     found.head->entries, DiskIndex::OtherVersions::kStay);
    }
  }
  if (!is_damaged) return;
  statistics_.damaged.Add();
  journal_.Warning("disk: " + files->PathOf(found.file) + " is damaged (" +
                   found.head.error().message + "), put aside");
  if (auto renamed = files->PutAside(found.file); !renamed) {
    journal_.Debug(renamed.error().message);
  }
}

// Once all directories are loaded, or have had their time: brings the whole under the budget, and
// lets reads in.
void DiskTier::Impl::EndLoad() {
  std::vector<Doomed> doomed;
  std::vector<FetchItem> waiting;
  std::vector<uint32_t> silent;
  {
    base::MutexLock lock(mu_);
    for (uint32_t i = 0; i < directories_.size(); ++i) {
      if (!directories_[i].loaded) silent.push_back(i);
    }
    if (!silent.empty() && clock_.Now() < load_until_) return;
    DoomEmpty(doomed);
    uint64_t doomed_bytes = 0;
    for (Doomed const& file : doomed) doomed_bytes += file.allocated_bytes;
    for (DiskFileNumber const file : index_.Files()) {
      if (used_bytes_ - doomed_bytes <= options_.budget_bytes) break;
      doomed_bytes += index_.Use(file).file.allocated_bytes;
      Doom(file, doomed);
    }
    loading_.store(false, std::memory_order_release);
    waiting.swap(waiting_);
  }
  for (uint32_t const number : silent) {
    SetState(number, DirectoryState::kRetired, "it does not answer");
  }
  Remove(doomed);
  FetchNow(std::move(waiting));
}

}  // namespace stokefs::cache
