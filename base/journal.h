// The journal: what happened that a person should know. The last lines are kept for the control
// file `events`; all go to the log. Handed to each component; thread-safe; never blocks on a
// reader.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/sync.h"

namespace spdlog {
class logger;
}

namespace stokefs::base {

enum class Severity : uint8_t { kDebug, kInfo, kWarning, kError };

class Journal {
 public:
  struct Options {
    std::string log_path;             // empty: standard error
    size_t kept_count_max = 1000;     // lines kept for `events`
    size_t log_bytes_max = 8u << 20;  // the log file turns over at this size, one old file stays
  };
  static Result<std::unique_ptr<Journal>> Open(const Options& options);
  static std::unique_ptr<Journal> Discard();  // keeps lines, writes no log: for tests and tools
  ~Journal();

  // One line; line breaks in `message` become blanks. kDebug goes to the log alone.
  void Add(Severity severity, std::string_view message) EXCLUDES(mu_);
  void Debug(std::string_view message) { Add(Severity::kDebug, message); }
  void Info(std::string_view message) { Add(Severity::kInfo, message); }
  void Warning(std::string_view message) { Add(Severity::kWarning, message); }
  void Error(std::string_view message) { Add(Severity::kError, message); }

  // Oldest first: "2026-01-31T12:00:00.123Z warning message\n" a line.
  std::string Lines() const EXCLUDES(mu_);

 private:
  Journal(size_t kept_count_max, std::shared_ptr<spdlog::logger> log);

  const size_t kept_count_max_;
  const std::shared_ptr<spdlog::logger> log_;  // null: no log
  mutable Mutex mu_;
  std::deque<std::string> lines_ GUARDED_BY(mu_);
};

}  // namespace stokefs::base
