#include "tools/command_conversation.h"

#include <cerrno>
#include <utility>

namespace stokefs::tools {
namespace {

// A hundred thousand paths; a command for more than that is one for their folder.
constexpr size_t kRequestBytesMax = 16u << 20;

}  // namespace

CommandConversation::~CommandConversation() {
  base::MutexLock lock(mu_);
  if (started_.command != nullptr && !started_.in_background) started_.command->Cancel();
}

int CommandConversation::Write(std::string_view bytes) {
  base::MutexLock lock(mu_);
  if (started_.command != nullptr) return EALREADY;
  size_t const end = bytes.find('\n');
  if (end != bytes.npos && end + 1 != bytes.size()) return EINVAL;  // text behind the request
  if (request_.size() + bytes.size() > kRequestBytesMax) return EFBIG;
  request_ += bytes;
  if (end == bytes.npos) return 0;
  // Starting neither waits nor calls back.
  started_ = runner_.Start(std::exchange(request_, {}));
  return started_.refused;
}

std::string CommandConversation::Read() {
  base::MutexLock lock(mu_);
  if (started_.command != nullptr) return started_.command->Text();
  return "{\"state\": \"waiting\", \"error\": \"write one JSON object and a line break\"}\n";
}

}  // namespace stokefs::tools
