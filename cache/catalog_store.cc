#include "cache/catalog_store.h"

#include <fcntl.h>
#include <lmdb.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "base/file.h"

namespace stokefs::cache {
namespace {

// LMDB keeps the dirty pages of a transaction on the heap; committed often, they stay few. Nothing
// is durable before Finish, so a commit costs no fsync.
constexpr size_t kTransactionBytesMax = 4u << 20;

// One writer, no readers, and the daemon holds its cache folder's lock: LMDB's own is not needed.
constexpr unsigned kCommonFlags = MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOTLS;

tl::unexpected<base::Error> FailLmdb(int code, const char* what) {
  // Positive codes are errno's; LMDB's own are negative and all mean that the file is no good.
  if (code > 0) return base::FailErrno(code, what);
  int const error = code == MDB_MAP_FULL ? ENOSPC : EBADMSG;
  return base::Fail(static_cast<std::errc>(error), std::string(what) + ": " + mdb_strerror(code));
}

std::array<unsigned char, 4> KeyOf(uint32_t number) {
  return {static_cast<unsigned char>(number >> 24), static_cast<unsigned char>(number >> 16),
          static_cast<unsigned char>(number >> 8), static_cast<unsigned char>(number)};
}

base::Status SyncFolderOf(const std::string& path) {
  base::UniqueFd const folder(
      open(path.substr(0, path.rfind('/') + 1).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.Valid() || fsync(folder.Get()) != 0) return base::FailErrno(errno, "sync folder");
  return {};
}

}  // namespace

void EnvironmentCloser::operator()(MDB_env* environment) const { mdb_env_close(environment); }

CatalogWriter::CatalogWriter(std::string path)
    : path_(std::move(path)), records_digest_(XXH3_createState(), XXH3_freeState) {
  XXH3_64bits_reset(records_digest_.get());
}

CatalogWriter::~CatalogWriter() {
  if (transaction_ != nullptr) mdb_txn_abort(transaction_);
  if (environment_ == nullptr) return;
  environment_.reset();
  unlink((path_ + ".new").c_str());
}

base::Result<std::unique_ptr<CatalogWriter>> CatalogWriter::Create(std::string path,
                                                                   uint64_t bytes_max) {
  std::unique_ptr<CatalogWriter> writer(new CatalogWriter(std::move(path)));
  std::string const file = writer->path_ + ".new";
  if (unlink(file.c_str()) != 0 && errno != ENOENT) return base::FailErrno(errno, file);
  MDB_env* environment = nullptr;
  if (int const code = mdb_env_create(&environment)) return FailLmdb(code, "create");
  writer->environment_.reset(environment);
  if (int const code = mdb_env_set_mapsize(environment, bytes_max)) {
    return FailLmdb(code, "map size");
  }
  if (int const code = mdb_env_open(environment, file.c_str(), kCommonFlags | MDB_NOSYNC, 0644)) {
    return FailLmdb(code, "open");
  }
  return writer;
}

base::Status CatalogWriter::Put(uint32_t number, std::string_view bytes) {
  if (transaction_ == nullptr) {
    if (int const code = mdb_txn_begin(environment_.get(), nullptr, 0, &transaction_)) {
      transaction_ = nullptr;
      return FailLmdb(code, "begin");
    }
    if (int const code = mdb_dbi_open(transaction_, nullptr, 0, &table_)) {
      return FailLmdb(code, "open table");
    }
  }
  auto key_bytes = KeyOf(number);
  MDB_val key{key_bytes.size(), key_bytes.data()};
  MDB_val value{bytes.size(), const_cast<char*>(bytes.data())};
  // The description has the first key and comes last.
  unsigned const flags = number == 0 ? 0 : MDB_APPEND;
  if (int const code = mdb_put(transaction_, table_, &key, &value, flags)) {
    return FailLmdb(code, "put");
  }
  transaction_bytes_ += bytes.size();
  return {};
}

base::Status CatalogWriter::Commit() {
  int const code = mdb_txn_commit(std::exchange(transaction_, nullptr));
  transaction_bytes_ = 0;
  if (code != 0) return FailLmdb(code, "commit");
  return {};
}

base::Status CatalogWriter::Add(std::string_view folder_record) {
  uint64_t const checksum = ChecksumOfRecord(folder_record);
  XXH3_64bits_update(records_digest_.get(), &checksum, sizeof(checksum));
  if (auto put = Put(++record_count_, folder_record); !put) return put;
  return transaction_bytes_ < kTransactionBytesMax ? base::Status() : Commit();
}

base::Status CatalogWriter::Finish(CatalogDescription description) {
  description.records = record_count_;
  description.records_digest = XXH3_64bits_digest(records_digest_.get());
  if (auto put = Put(0, EncodeCatalogDescription(description)); !put) return put;
  if (auto committed = Commit(); !committed) return committed;
  if (int const code = mdb_env_sync(environment_.get(), 1)) return FailLmdb(code, "sync");
  environment_.reset();
  std::string const file = path_ + ".new";
  if (rename(file.c_str(), path_.c_str()) != 0) {
    auto failed = base::FailErrno(errno, "rename");
    unlink(file.c_str());
    return failed;
  }
  return SyncFolderOf(path_);
}

CatalogReader::~CatalogReader() {
  if (transaction_ != nullptr) mdb_txn_abort(transaction_);
}

base::Result<std::unique_ptr<CatalogReader>> CatalogReader::Open(const std::string& path) {
  std::unique_ptr<CatalogReader> reader(new CatalogReader);
  MDB_env* environment = nullptr;
  if (int const code = mdb_env_create(&environment)) return FailLmdb(code, "create");
  reader->environment_.reset(environment);
  if (int const code = mdb_env_open(environment, path.c_str(), kCommonFlags | MDB_RDONLY, 0)) {
    return FailLmdb(code, "open");
  }
  if (int const code = mdb_txn_begin(environment, nullptr, MDB_RDONLY, &reader->transaction_)) {
    reader->transaction_ = nullptr;
    return FailLmdb(code, "begin");
  }
  if (int const code = mdb_dbi_open(reader->transaction_, nullptr, 0, &reader->table_)) {
    return FailLmdb(code, "open table");
  }
  return reader;
}

base::Result<CatalogDescription> CatalogReader::Description() {
  auto key_bytes = KeyOf(0);
  MDB_val key{key_bytes.size(), key_bytes.data()};
  MDB_val value{};
  if (int const code = mdb_get(transaction_, table_, &key, &value)) {
    return FailLmdb(code, "description");
  }
  return ParseCatalogDescription({static_cast<const char*>(value.mv_data), value.mv_size});
}

base::Status CatalogReader::Visit(const std::function<base::Status(std::string_view)>& visit) {
  MDB_cursor* opened = nullptr;
  if (int const code = mdb_cursor_open(transaction_, table_, &opened)) {
    return FailLmdb(code, "cursor");
  }
  std::unique_ptr<MDB_cursor, void (*)(MDB_cursor*)> const cursor(opened, mdb_cursor_close);
  MDB_val key{}, value{};
  for (uint32_t number = 0;; ++number) {
    int const code = mdb_cursor_get(opened, &key, &value, number == 0 ? MDB_FIRST : MDB_NEXT);
    if (code == MDB_NOTFOUND) return {};
    if (code != 0) return FailLmdb(code, "read");
    auto const expected = KeyOf(number);
    if (std::string_view(static_cast<const char*>(key.mv_data), key.mv_size) !=
        std::string_view(reinterpret_cast<const char*>(expected.data()), expected.size())) {
      return base::FailErrno(EBADMSG, "keys");
    }
    if (number == 0) continue;
    auto const visited = visit({static_cast<const char*>(value.mv_data), value.mv_size});
    if (!visited) return visited;
  }
}

}  // namespace stokefs::cache
