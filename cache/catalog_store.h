// A kept catalog: one LMDB file, written once as a whole and never changed in place.
//
// Keys are 4 bytes, big-endian: 0 the description, from 1 the folder records in the order they were
// added, parents first (folder_record.h has their grammar). Only the last transaction of a writer
// adds the description, so a file without one is not whole. Source: LMDB's lmdb.h.
#pragma once

#include <xxhash.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "cache/folder_record.h"

struct MDB_env;
struct MDB_txn;

namespace stokefs::cache {

struct EnvironmentCloser {
  void operator()(MDB_env* environment) const;
};

// Writes `<path>.new`, which becomes `path` in Finish; a writer that dies before leaves `path` as
// it was. Not thread-safe. Errors: ENOSPC, EROFS, EACCES, ...
class CatalogWriter {
 public:
  // `bytes_max`: address space for the file; it takes no more room than it needs.
  static base::Result<std::unique_ptr<CatalogWriter>> Create(std::string path, uint64_t bytes_max);
  ~CatalogWriter();

  base::Status Add(std::string_view folder_record);
  // `records` and `records_digest` are filled in.
  base::Status Finish(CatalogDescription description);

 private:
  explicit CatalogWriter(std::string path);
  base::Status Put(uint32_t key, std::string_view value);
  base::Status Commit();

  const std::string path_;
  std::unique_ptr<MDB_env, EnvironmentCloser> environment_;
  std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> records_digest_;
  MDB_txn* transaction_ = nullptr;
  unsigned table_ = 0;
  size_t transaction_bytes_ = 0;
  uint32_t record_count_ = 0;
};

// Reads one. On a damaged file any call may crash the process (the file is mapped and LMDB believes
// its own pages): only for a process of its own (catalog_load.h). Not thread-safe.
class CatalogReader {
 public:
  static base::Result<std::unique_ptr<CatalogReader>> Open(const std::string& path);
  ~CatalogReader();

  // EBADMSG when there is none or it is damaged.
  base::Result<CatalogDescription> Description();
  // Folder records in order; stops at the first error that `visit` returns. EBADMSG when the keys
  // are not 1, 2, ...
  base::Status Visit(const std::function<base::Status(std::string_view)>& visit);

 private:
  CatalogReader() = default;

  std::unique_ptr<MDB_env, EnvironmentCloser> environment_;
  MDB_txn* transaction_ = nullptr;
  unsigned table_ = 0;
};

}  // namespace stokefs::cache
