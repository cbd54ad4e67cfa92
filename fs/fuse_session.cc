#include "fs/fuse_session.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <utility>

#include "base/executor.h"

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
  bool const named =
      std::any_of(mount_options.begin(), mount_options.end(),
                  [](const std::string& option) { return option.starts_with("fsname="); });
  if (!named) mount_options.push_back("fsname=" + options.source_name);
  mount_options.push_back("subtype=" + options.subtype);
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
