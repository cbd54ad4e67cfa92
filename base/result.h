// A recoverable failure is a value.
//
// `Result<T>` holds a T or an `Error`: an errno-like code that no layer may hide, and a message to
// which each layer adds one clause of context. A cache miss is `std::optional`, not an error.
#pragma once

#include <string>
#include <string_view>
#include <system_error>
#include <tl/expected.hpp>
#include <utility>

namespace stokefs::base {

struct Error {
  std::errc code{};
  std::string message;

  int Errno() const { return static_cast<int>(code); }
};

template <typename T>
class [[nodiscard]] Result : public tl::expected<T, Error> {
 public:
  using tl::expected<T, Error>::expected;
};

using Status = Result<void>;

// An error to return from any function whose type is a Result.
inline tl::unexpected<Error> Fail(std::errc code, std::string message) {
  return tl::unexpected<Error>(Error{code, std::move(message)});
}

// The same from an errno value; the message gets ": <strerror>" appended.
tl::unexpected<Error> FailErrno(int error_number, std::string message);

// Hands an error on with one clause of context in front: "context: message".
tl::unexpected<Error> Wrap(Error error, std::string_view context);

}  // namespace stokefs::base
