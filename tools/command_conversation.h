// The control file `command`: each handle takes one request, a line, and shows what became of it.
#pragma once

#include <memory>
#include <string>

#include "base/sync.h"
#include "fs/control_conversation.h"
#include "tools/command_runner.h"

namespace stokefs::tools {

// The request is one JSON object without line breaks, ended by one. A request that cannot be begun
// fails its write with the command's errno, and reads say why. When the handle goes, its command is
// cancelled unless it runs in the background. Thread-safe.
class CommandConversation final : public fs::ControlConversation {
 public:
  explicit CommandConversation(CommandRunner& runner) : runner_(runner) {}
  ~CommandConversation() override;

  int Write(std::string_view bytes) override EXCLUDES(mu_);
  std::string Read() override EXCLUDES(mu_);

 private:
  CommandRunner& runner_;
  base::Mutex mu_;
  std::string request_ GUARDED_BY(mu_);
  CommandRunner::Started started_ GUARDED_BY(mu_);  // no command: not begun
};

}  // namespace stokefs::tools
