// One command that a mount is asked to carry out, followed from the asking side.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "tools/mount_question.h"
#include "tools/timed_child.h"

namespace stokefs::tools {

// A child process holds the handle of the control file `command`, so that no wait of the daemon's
// is ours. When this dies, so does the handle, and the daemon cancels the command unless it was
// begun in the background. Only for processes without other threads.
class CommandCall {
 public:
  // Finds the control mount and hands in `request` (JSON, one line). Errors as ReadControlFile.
  static base::Result<std::unique_ptr<CommandCall>> Start(const KnownMount& known,
                                                          const std::string& request,
                                                          base::Duration limit);

  // The command as it is now, as JSON: again and again, more rarely as time goes on, until it has
  // ended; then none. timed_out when no answer came within `limit`, with the step that hangs.
  base::Result<std::optional<std::string>> Next(base::Duration limit);

 private:
  CommandCall(std::unique_ptr<TimedChild> child, std::string control)
      : child_(std::move(child)), control_(std::move(control)) {}

  const std::unique_ptr<TimedChild> child_;
  const std::string control_;  // as the mount table has it
};

}  // namespace stokefs::tools
