#include "cache/catalog_load_child.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <xxhash.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>

#include "base/file.h"
#include "cache/catalog_store.h"

namespace stokefs::cache {
namespace {

// Well below the parent's patience, and rare enough to cost nothing.
constexpr std::chrono::milliseconds kHeartbeatPeriod(500);

class Stream {
 public:
  explicit Stream(int pipe) : pipe_(pipe) {}

  void Send(char kind, std::string_view bytes) {
    auto const count = static_cast<uint32_t>(bytes.size());
    buffer_ += kind;
    buffer_.append(reinterpret_cast<const char*>(&count), sizeof(count));
    buffer_ += bytes;
    if (buffer_.size() > kBufferBytes) Flush();
  }
  void Flush() {
    // Without its reader there is nothing left to do.
    if (!base::WriteAll(pipe_, buffer_)) _exit(1);
    buffer_.clear();
  }
  void Heartbeat() {
    auto const now = std::chrono::steady_clock::now();
    if (now - last_ < kHeartbeatPeriod) return;
    last_ = now;
    Send('h', {});
    Flush();
  }

 private:
  static constexpr size_t kBufferBytes = 256u << 10;

  const int pipe_;
  std::string buffer_;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

// Keeps nothing of the daemon's but the pipe: no lock of the cache folder, no descriptor of SOURCE
// or of the mount, no handler, no terminal.
void Detach(int pipe) {
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
  // A terminal's Ctrl-C is for the daemon, which then ends this process.
  for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) ::signal(signal, SIG_IGN);
  prctl(PR_SET_NAME, "catalog-load");
  rlimit const no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  int const kept = fcntl(pipe, F_DUPFD, 4);  // out of the way of what comes next
  int const nothing = open("/dev/null", O_RDWR);
  for (int standard : {0, 1, 2}) dup2(nothing, standard);
  dup2(kept, 3);
  syscall(SYS_close_range, 4u, ~0u, 0u);
}

bool IsSame(const CatalogSource& a, const CatalogSource& b) {
  return a.path == b.path && a.root_inode == b.root_inode &&
         a.layout.chunk_bytes == b.layout.chunk_bytes &&
         a.layout.chunk_samples == b.layout.chunk_samples && a.extent_bytes == b.extent_bytes;
}

base::Status Verify(CatalogReader& reader, const CatalogDescription& description, Stream& stream) {
  std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> const digest(XXH3_createState(),
                                                                               XXH3_freeState);
  XXH3_64bits_reset(digest.get());
  uint64_t count = 0;
  auto const visited = reader.Visit([&](std::string_view record) -> base::Status {
    if (++count > description.records) return base::FailErrno(EBADMSG, "more records than counted");
    uint64_t const checksum = ChecksumOfRecord(record);
    if (record.size() < sizeof(checksum) ||
        XXH3_64bits(record.data(), record.size() - sizeof(checksum)) != checksum) {
      return base::FailErrno(EBADMSG, "checksum of record " + std::to_string(count));
    }
    XXH3_64bits_update(digest.get(), &checksum, sizeof(checksum));
    stream.Heartbeat();
    return {};
  });
  if (!visited) return visited;
  if (count != description.records) return base::FailErrno(EBADMSG, "records are missing");
  if (XXH3_64bits_digest(digest.get()) != description.records_digest) {
    return base::FailErrno(EBADMSG, "digest of the records");
  }
  return {};
}

base::Status Send(const std::string& path, const CatalogSource& expected,
                  CatalogLoadPurpose purpose, Stream& stream) {
  auto const reader = CatalogReader::Open(path);
  if (!reader) return tl::unexpected<base::Error>(reader.error());
  auto const description = (*reader)->Description();
  if (!description) return tl::unexpected<base::Error>(description.error());
  if (!IsSame(description->source, expected)) {
    return base::FailErrno(ESTALE, "it is of another source or layout");
  }
  if (auto verified = Verify(**reader, *description, stream); !verified) return verified;
  stream.Send('d', EncodeCatalogDescription(*description));
  stream.Flush();
  if (purpose == CatalogLoadPurpose::kVerify) return {};
  return (*reader)->Visit([&](std::string_view record) {
    stream.Send('r', record);
    return base::Status();
  });
}

}  // namespace

void RunCatalogLoadChild(const std::string& path, const CatalogSource& expected,
                         CatalogLoadPurpose purpose, int pipe) {
  Detach(pipe);
  Stream stream(3);
  auto const sent = Send(path, expected, purpose, stream);
  if (sent) {
    stream.Send('e', {});
  } else {
    auto const code = static_cast<uint32_t>(sent.error().Errno());
    std::string refusal(reinterpret_cast<const char*>(&code), sizeof(code));
    stream.Send('x', refusal + sent.error().message);
  }
  stream.Flush();
  _exit(0);
}

}  // namespace stokefs::cache
