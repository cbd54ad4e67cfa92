// Reads a kept catalog through a child process, because on a damaged file LMDB may fault (a page
// beyond its end: SIGBUS), abort or loop: then the child dies and the daemon scans.
//
// The child first verifies everything (checksums, count, digest, source) and only then sends the
// records over a pipe, so nothing of a damaged catalog is believed. Stream, little-endian:
//   message := kind:u8 bytes_count:u32 bytes       kind: 'h' still at work, no bytes
//                                                        'd' the description, verified
//                                                        'r' a folder record
//                                                        'e' the end, no bytes
//                                                        'x' refused, and why
#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/file.h"
#include "base/result.h"
#include "base/sync.h"
#include "cache/catalog_load_child.h"
#include "cache/folder_record.h"

namespace stokefs::cache {

class CatalogLoad {
 public:
  // Forks. kSend: before the process has other threads. kVerify sends no records; it may be asked
  // for by a process with threads, because of what such a child may not do it takes only memory,
  // which glibc makes safe.
  static base::Result<std::unique_ptr<CatalogLoad>> Fork(
      const std::string& path, const CatalogSource& expected,
      CatalogLoadPurpose purpose = CatalogLoadPurpose::kSend);
  ~CatalogLoad();  // kills and reaps the child

  // Calls `visit` for each record, in order, its checksum checked again; blocks until the end. An
  // error may come after some records: those were verified and may be kept. ECANCELED after Kill,
  // ETIMEDOUT when the child sends nothing for `silence_max`, ESTALE when the catalog is of another
  // source or layout, EBADMSG when it or the child is broken, or what `visit` returned. Once only.
  base::Result<CatalogDescription> Read(std::chrono::milliseconds silence_max,
                                        const std::function<base::Status(FolderRecord)>& visit);

  // Ends the child, and with it Read. Any thread.
  void Kill() EXCLUDES(mu_);

 private:
  CatalogLoad(pid_t child, base::UniqueFd pipe) : pipe_(std::move(pipe)), child_(child) {}
  base::Status Receive(size_t count, std::chrono::milliseconds silence_max, std::string& into);
  base::Error ChildEnded() EXCLUDES(mu_);

  const base::UniqueFd pipe_;
  std::atomic<bool> killed_{false};  // atomic: told by Kill, read by Read without the lock
  base::Mutex mu_;
  pid_t child_ GUARDED_BY(mu_);  // 0: reaped
};

}  // namespace stokefs::cache
