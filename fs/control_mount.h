// The control mount: a small FUSE session of its own whose files show what the daemon does. It has
// threads of its own, so it answers when data does not.
//
// A file's text is made when it is opened, and each open handle reads its own snapshot.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "fs/fuse_session.h"

namespace stokefs::fs {

struct ControlFile {
  std::string name;
  std::function<std::string()> render;  // called on a control thread; must not wait for data
};

class ControlMount {
 public:
  struct Options {
    std::string mount_point;
    std::string source_name;
    std::vector<std::string> options;  // further mount options
  };

  static base::Result<std::unique_ptr<ControlMount>> Mount(Options options,
                                                           std::vector<ControlFile> files);
  ~ControlMount();

  void Start(std::function<void()> on_end) { session_->Start(std::move(on_end)); }
  void Stop() { session_->Stop(); }

 private:
  friend class ControlOperations;
  explicit ControlMount(std::vector<ControlFile> files);

  const std::vector<ControlFile> files_;
  const timespec mounted_at_;
  std::unique_ptr<FuseSession> session_;
};

}  // namespace stokefs::fs
