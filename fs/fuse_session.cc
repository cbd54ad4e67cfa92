#include "fs/fuse_session.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <utility>

#include "base/executor.h"
#include "base/file.h"

namespace stokefs::fs {
namespace {

// Interrupts a thread's read of /dev/fuse; the handler has nothing to do.
constexpr int kWakeSignal = SIGUSR1;

void InstallWakeSignal() {
  struct sigaction action {};
  action.sa_handler = [](int) {};
  sigaction(kWakeSignal, &action, nullptr);  // no SA_RESTART: read(2) returns EINTR
}

std::string Escaped(const std::string& option) {
  std::string text;
  for (char c : option) {
    if (c == ',' || c == '\\') text += '\\';
    text += c;
  }
  return text;
}

// The device number of a FUSE mount is its connection number. /proc knows it without asking the
// mount itself, which would wait for an answer of ours.
unsigned FindConnectionNumber(const std::string& mount_point) {
  base::Result<std::string> const table = base::ReadFile("/proc/self/mountinfo", 64u << 20);
  if (!table) return 0;
  std::string wanted;
  for (char c : mount_point) {  // mountinfo writes these four in octal
    switch (c) {
      case ' ':
        wanted += "\\040";
        break;
      case '\t':
        wanted += "\\011";
        break;
      case '\n':
        wanted += "\\012";
        break;
      case '\\':
        wanted += "\\134";
        break;
      default:
        wanted += c;
    }
  }
  unsigned found = 0;
  for (size_t start = 0; start < table->size();) {
    size_t end = table->find('\n', start);
    if (end == std::string::npos) end = table->size();
    std::string const line = table->substr(start, end - start);
    start = end + 1;
    unsigned major_number = 0;
    unsigned minor_number = 0;
    int path_at = 0;
    if (sscanf(line.c_str(), "%*u %*u %u:%u %*s %n", &major_number, &minor_number, &path_at) < 2) {
      continue;
    }
    size_t const path_end = line.find(' ', static_cast<size_t>(path_at));
    if (line.compare(static_cast<size_t>(path_at), path_end - static_cast<size_t>(path_at),
                     wanted) == 0) {
      found = minor_number;  // the last one is on top
    }
  }
  return found;
}

}  // namespace

FuseSession::FuseSession(Options options, fuse_session* session)
    : options_(std::move(options)), session_(session) {}

base::Result<std::unique_ptr<FuseSession>> FuseSession::Mount(Options options,
                                                              const fuse_lowlevel_ops& operations,
                                                              void* handler) {
  InstallWakeSignal();
  fuse_args args = FUSE_ARGS_INIT(0, nullptr);
  fuse_opt_add_arg(&args, "stokefs");
  std::vector<std::string> mount_options = options.options;
  mount_options.push_back("fsname=" + options.source_name);
  mount_options.emplace_back("subtype=stokefs");
  for (const std::string& option : mount_options) {
    fuse_opt_add_arg(&args, "-o");
    fuse_opt_add_arg(&args, Escaped(option).c_str());
  }
  fuse_session* const session = fuse_session_new(&args, &operations, sizeof(operations), handler);
  fuse_opt_free_args(&args);
  if (session == nullptr) return base::Fail(std::errc::invalid_argument, "FUSE refused an option");
  if (fuse_session_mount(session, options.mount_point.c_str()) != 0) {
    int const error = errno != 0 ? errno : EIO;
    fuse_session_destroy(session);
    return base::FailErrno(error, "cannot mount at " + options.mount_point);
  }
  std::unique_ptr<FuseSession> mounted(new FuseSession(std::move(options), session));
  fcntl(fuse_session_fd(session), F_SETFD, FD_CLOEXEC);
  mounted->connection_number_ = FindConnectionNumber(mounted->options_.mount_point);
  return mounted;
}

FuseSession::~FuseSession() {
  Stop();
  fuse_session_destroy(session_);
}

void FuseSession::Start(std::function<void()> on_end) {
  on_end_ = std::move(on_end);
  serving_count_ = options_.threads;
  for (size_t i = 0; i < options_.threads; ++i) threads_.emplace_back([this] { Serve(); });
}

void FuseSession::Serve() {
  base::PrepareThread(options_.name);
  fuse_buf request{};
  while (!fuse_session_exited(session_)) {
    int const got = fuse_session_receive_buf(session_, &request);
    if (got == -EINTR || got == -EAGAIN) continue;
    if (got <= 0) break;
    fuse_session_process_buf(session_, &request);
  }
  std::free(request.mem);
  if (!stopping_ && !ended_by_kernel_.exchange(true) && on_end_) on_end_();
  --serving_count_;
}

void FuseSession::Stop() {
  if (stopping_.exchange(true)) return;
  fuse_session_exit(session_);
  while (serving_count_ > 0) {  // a signal that comes between the check and read(2) is lost: repeat
    for (std::thread& thread : threads_) pthread_kill(thread.native_handle(), kWakeSignal);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  fuse_session_unmount(session_);
}

}  // namespace stokefs::fs
