#include "cache/catalog_load.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <thread>
#include <utility>

#include "cache/byte_codec.h"
#include "cache/catalog_load_child.h"

namespace stokefs::cache {
namespace {

// Above the largest record (4,096 links of 4,095 bytes) with its path.
constexpr uint32_t kMessageBytesMax = 32u << 20;
constexpr int kPipeBytes = 1 << 20;  // the most that an ordinary user may ask for

// A child that waits for a hung disk cannot die: it is left to init then.
constexpr int kReapTriesMax = 100;
constexpr std::chrono::milliseconds kReapPeriod(10);

struct Ending {
  bool is_known = false;
  int status = 0;  // as waitpid gives it
};

Ending KillAndReap(pid_t child) {
  kill(child, SIGKILL);
  Ending ending;
  for (int i = 0; i < kReapTriesMax; ++i) {
    pid_t const reaped = waitpid(child, &ending.status, WNOHANG);
    ending.is_known = reaped == child;
    if (ending.is_known || (reaped < 0 && errno != EINTR)) break;
    std::this_thread::sleep_for(kReapPeriod);
  }
  return ending;
}

tl::unexpected<base::Error> Bad(std::string why) {
  return base::Fail(std::errc::bad_message, std::move(why));
}

}  // namespace

base::Result<std::unique_ptr<CatalogLoad>> CatalogLoad::Fork(const std::string& path,
                                                             const CatalogSource& expected,
                                                             CatalogLoadPurpose purpose) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return base::FailErrno(errno, "pipe");
  base::UniqueFd reading(ends[0]), writing(ends[1]);
  fcntl(reading.Get(), F_SETPIPE_SZ, kPipeBytes);  // only speed
  pid_t const child = fork();
  if (child < 0) return base::FailErrno(errno, "fork");
  if (child == 0) RunCatalogLoadChild(path, expected, purpose, writing.Get());
  return std::unique_ptr<CatalogLoad>(new CatalogLoad(child, std::move(reading)));
}

CatalogLoad::~CatalogLoad() { Kill(); }

void CatalogLoad::Kill() {
  killed_ = true;
  base::MutexLock lock(mu_);
  if (child_ == 0) return;
  KillAndReap(std::exchange(child_, 0));
}

base::Error CatalogLoad::ChildEnded() {
  if (killed_) return {std::errc::operation_canceled, "load"};
  base::MutexLock lock(mu_);
  // The pipe is closed, so the child has ended or is about to.
  Ending ending;
  if (child_ != 0) ending = KillAndReap(std::exchange(child_, 0));
  std::string why = "its reader ended early";
  if (ending.is_known && WIFSIGNALED(ending.status) && WTERMSIG(ending.status) != SIGKILL) {
    why = std::string("its reader died: ") + sigdescr_np(WTERMSIG(ending.status));
  }
  return base::Error{std::errc::bad_message, why};
}

base::Status CatalogLoad::Receive(size_t count, std::chrono::milliseconds silence_max,
                                  std::string& into) {
  into.resize(count);
  for (size_t done = 0; done < count;) {
    pollfd waiting{.fd = pipe_.Get(), .events = POLLIN, .revents = 0};
    int const ready = poll(&waiting, 1, static_cast<int>(silence_max.count()));
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) return base::FailErrno(ETIMEDOUT, "its reader is silent");
    ssize_t const got = read(pipe_.Get(), into.data() + done, count - done);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return tl::unexpected<base::Error>(ChildEnded());
    done += static_cast<size_t>(got);
  }
  return {};
}

base::Result<CatalogDescription> CatalogLoad::Read(
    std::chrono::milliseconds silence_max, const std::function<base::Status(FolderRecord)>& visit) {
  std::optional<CatalogDescription> description;
  std::string header, bytes;
  for (;;) {
    auto received = Receive(5, silence_max, header);
    if (!received) return tl::unexpected<base::Error>(std::move(received.error()));
    ByteReader fields(header);
    auto const kind = static_cast<char>(fields.Get<uint8_t>());
    auto const count = fields.Get<uint32_t>();
    if (count > kMessageBytesMax) return Bad("message of " + std::to_string(count) + " bytes");
    received = Receive(count, silence_max, bytes);
    if (!received) return tl::unexpected<base::Error>(std::move(received.error()));
    if (kind == 'h') continue;
    if (kind == 'x') {
      ByteReader refusal(bytes);
      auto const code = refusal.Get<uint32_t>();
      return base::Fail(static_cast<std::errc>(code), bytes.substr(std::min<size_t>(4, count)));
    }
    if (kind == 'd' && !description) {
      auto parsed = ParseCatalogDescription(bytes);
      if (!parsed) return parsed;
      description = std::move(*parsed);
    } else if (kind == 'r' && description) {
      auto record = ParseFolderRecord(bytes);
      if (!record) return tl::unexpected<base::Error>(std::move(record.error()));
      auto const visited = visit(std::move(*record));
      if (!visited) return tl::unexpected<base::Error>(visited.error());
    } else if (kind == 'e' && description) {
      return std::move(*description);
    } else {
      return Bad("unexpected message");
    }
  }
}

}  // namespace stokefs::cache
