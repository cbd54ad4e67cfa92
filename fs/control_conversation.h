// One open handle of a control file that takes text and answers it.
#pragma once

#include <cerrno>
#include <functional>
#include <string>
#include <string_view>

namespace stokefs::fs {

// The answer to one write or close: 0, or the errno that it gives. Called once, from any thread;
// when the last copy dies uncalled, the answer is EIO.
using ControlAnswer = std::function<void(int)>;

// Made at open, destroyed when the handle is released, by its last close or its process's end. All
// calls come on control threads, possibly two at a time (a handle may be shared), and must not wait
// for anything: neither for data nor for the origin.
class ControlConversation {
 public:
  virtual ~ControlConversation() = default;
  // The next bytes written: the kernel cuts writes into pieces of at most 1 MiB, which come in
  // order. The bytes are the caller's: they go when the call returns.
  // NOLINTNEXTLINE(performance-unnecessary-value-param): those who override it keep the answer
  virtual void TakeWrite(std::string_view bytes, ControlAnswer answer) { answer(Write(bytes)); }
  // A descriptor of the handle is being closed.
  // NOLINTNEXTLINE(performance-unnecessary-value-param)
  virtual void TakeFlush(ControlAnswer answer) { answer(Flush()); }
  // The same for those who can answer at once: 0, or an errno.
  virtual int Write(std::string_view) { return EBADF; }
  virtual int Flush() { return 0; }
  // The answer as it is now. Asked for by each read at offset 0; reads behind that go on in the
  // text that the last such read got.
  virtual std::string Read() = 0;
};

}  // namespace stokefs::fs
