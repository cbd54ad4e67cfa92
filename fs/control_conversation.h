// One open handle of a control file that takes text and answers it.
#pragma once

#include <string>
#include <string_view>

namespace stokefs::fs {

// Made at open, destroyed when the handle is released, by its last close or its process's end. All
// calls come on control threads, possibly two at a time (a handle may be shared), and must not wait
// for anything: neither for data nor for the origin.
class ControlConversation {
 public:
  virtual ~ControlConversation() = default;
  // The next bytes written: the kernel cuts writes into pieces of at most 1 MiB, which come in
  // order. 0, or the errno that write(2) gives.
  virtual int Write(std::string_view bytes) = 0;
  // A descriptor of the handle is being closed. 0, or the errno that close(2) gives.
  virtual int Flush() { return 0; }
  // The answer as it is now. Asked for by each read at offset 0; reads behind that go on in the
  // text that the last such read got.
  virtual std::string Read() = 0;
};

}  // namespace stokefs::fs
