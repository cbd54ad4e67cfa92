// What a command says to its caller: the exit status that follows from an error.
#pragma once

#include <string>
#include <utility>

#include "base/result.h"

namespace stokefs::tools {

inline constexpr int kExitDone = 0;
inline constexpr int kExitFailed = 1;    // anything else
inline constexpr int kExitRefused = 2;   // wrong usage, or refused
inline constexpr int kExitNoAnswer = 3;  // no answer in time

// Wrong usage or a thing that is never done; the message is the one line that the user sees.
inline tl::unexpected<base::Error> Refuse(std::string message) {
  return base::Fail(std::errc::invalid_argument, std::move(message));
}

inline tl::unexpected<base::Error> NoAnswer(std::string message) {
  return base::Fail(std::errc::timed_out, std::move(message));
}

// Hands an error on as it is, from a function of another Result type.
inline tl::unexpected<base::Error> Pass(base::Error error) {
  return tl::unexpected<base::Error>(std::move(error));
}

inline int ExitStatusOf(const base::Error& error) {
  if (error.code == std::errc::invalid_argument) return kExitRefused;
  return error.code == std::errc::timed_out ? kExitNoAnswer : kExitFailed;
}

}  // namespace stokefs::tools
