// The control mount: a small FUSE session of its own whose files show what the daemon does. It has
// threads of its own, so it answers when data does not.
//
// A file either shows a text, made when it is opened, so that each open handle reads its own
// snapshot; or it converses: each handle writes to and reads from a ControlConversation of its own.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "base/sync.h"
#include "fs/control_conversation.h"
#include "fs/fuse_session.h"

namespace stokefs::fs {

struct ControlFile {
  std::string name;
  // Exactly one of them is set. Called on a control thread, must not wait.
  std::function<std::string()> render;
  std::function<std::unique_ptr<ControlConversation>()> converse;
  mode_t permissions = 0444;  // the kernel holds them; the owner is the mount's
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
  ~ControlMount();  // stops

  void Start(std::function<void()> on_end) { session_->Start(std::move(on_end)); }
  void Stop() { session_->Stop(); }

 private:
  friend class ControlOperations;
  using Text = std::shared_ptr<const std::string>;
  struct Opened {
    Text text;  // what it reads; null until a conversation is first read
    std::shared_ptr<ControlConversation> conversation;
    std::optional<uint64_t> writer;  // the kernel's word for whoever wrote last; none: nobody did
  };
  explicit ControlMount(std::vector<ControlFile> files);

  uint64_t AddOpened(Opened opened) EXCLUDES(opened_mu_);
  Opened Find(uint64_t handle) EXCLUDES(opened_mu_);
  void SetText(uint64_t handle, Text text) EXCLUDES(opened_mu_);
  void SetWriter(uint64_t handle, uint64_t writer) EXCLUDES(opened_mu_);
  void RemoveOpened(uint64_t handle) EXCLUDES(opened_mu_);

  const std::vector<ControlFile> files_;
  const timespec mounted_at_;
  base::Mutex opened_mu_;  // a leaf
  uint64_t next_handle_ GUARDED_BY(opened_mu_) = 1;
  // What each open handle reads. Those that are open when the mount ends get no release.
  std::unordered_map<uint64_t, Opened> opened_ GUARDED_BY(opened_mu_);
  // Shared with answers that are still to be given: a request is its session's.
  std::shared_ptr<FuseSession> session_;
};

}  // namespace stokefs::fs
