// One FUSE connection: mounted, served by threads of its own, ended from either side.
//
// Threads only ever block in reading the next request. Ending needs no request to arrive: each
// thread is woken by a signal, so a file that somebody holds open cannot keep the session alive.
#pragma once

#include <fuse_lowlevel.h>

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"

namespace stokefs::fs {

class FuseSession {
 public:
  struct Options {
    std::string name;  // of its threads
    std::string mount_point;
    std::string source_name;           // shown as the mount's source
    std::string subtype = "stokefs";   // the mount's type is fuse.<subtype>
    std::vector<std::string> options;  // -o, one each; commas in values are escaped here
    size_t threads = 1;
  };

  // Mounts; nothing is served before Start. `handler` is the operations' userdata and outlives
  // this.
  static base::Result<std::unique_ptr<FuseSession>> Mount(Options options,
                                                          const fuse_lowlevel_ops& operations,
                                                          void* handler);
  ~FuseSession();

  // `on_end` is called once, on a session thread, when the kernel ended the connection (unmounted
  // or aborted) and not when Stop did.
  void Start(std::function<void()> on_end);

  // Ends the threads, closes the connection (requests not answered fail with ENOTCONN), unmounts.
  void Stop();

  fuse_session* raw() const { return session_; }

 private:
  FuseSession(Options options, fuse_session* session);
  void Serve();

  const Options options_;
  fuse_session* const session_;
  std::function<void()> on_end_;              // set by Start, before the threads
  std::atomic<bool> ended_by_kernel_{false};  // one thread reports
  std::atomic<bool> stopping_{false};
  std::atomic<size_t> serving_count_{0};
  std::vector<std::thread> threads_;
};

}  // namespace stokefs::fs
