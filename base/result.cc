#include "base/result.h"

namespace stokefs::base {

tl::unexpected<Error> FailErrno(int error_number, std::string message) {
  message += ": ";
  message += std::generic_category().message(error_number);
  return Fail(static_cast<std::errc>(error_number), std::move(message));
}

tl::unexpected<Error> Wrap(Error error, std::string_view context) {
  error.message.insert(0, ": ").insert(0, context);
  return tl::unexpected<Error>(std::move(error));
}

}  // namespace stokefs::base
