#include "base/journal.h"

#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <time.h>

#include <utility>

namespace stokefs::base {
namespace {

std::string Stamp() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  tm parts{};
  gmtime_r(&now.tv_sec, &parts);
  char text[32];
  size_t const length = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts);
  char stamp[48];
  snprintf(stamp, sizeof(stamp), "%.*s.%03ldZ", static_cast<int>(length), text,
           now.tv_nsec / 1000000);
  return stamp;
}

std::string_view Name(Severity severity) {
  switch (severity) {
    case Severity::kDebug:
      return "debug";
    case Severity::kInfo:
      return "info";
    case Severity::kWarning:
      return "warning";
    case Severity::kError:
      return "error";
  }
  return "?";
}

std::string OneLine(std::string_view message) {
  std::string line(message);
  for (char& c : line) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  return line;
}

}  // namespace

Journal::Journal(size_t kept_count_max, std::shared_ptr<spdlog::logger> log)
    : kept_count_max_(kept_count_max), log_(std::move(log)) {}

Journal::~Journal() = default;

Result<std::unique_ptr<Journal>> Journal::Open(const Options& options) {
  std::shared_ptr<spdlog::logger> log;
  try {
    spdlog::sink_ptr sink;
    if (options.log_path.empty()) {
      sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    } else {
      sink = std::make_shared<spdlog::sinks::rotating_file_sink_mt>(options.log_path,
                                                                    options.log_bytes_max, 1);
    }
    log = std::make_shared<spdlog::logger>("stokefs", std::move(sink));
    log->set_pattern("%v");
    log->flush_on(spdlog::level::info);
  } catch (const spdlog::spdlog_ex& failure) {
    return Fail(std::errc::io_error, std::string("log ") + failure.what());
  }
  return std::unique_ptr<Journal>(new Journal(options.kept_count_max, std::move(log)));
}

std::unique_ptr<Journal> Journal::Discard() {
  return std::unique_ptr<Journal>(new Journal(1000, nullptr));
}

void Journal::Add(Severity severity, std::string_view message) {
  std::string line = Stamp();
  line.append(" ").append(Name(severity)).append(" ").append(OneLine(message));
  if (log_ != nullptr) log_->log(spdlog::level::info, "{}", line);
  if (severity == Severity::kDebug) return;
  MutexLock lock(mu_);
  lines_.push_back(std::move(line));
  if (lines_.size() > kept_count_max_) lines_.pop_front();
}

std::string Journal::Lines() const {
  MutexLock lock(mu_);
  std::string text;
  for (const std::string& line : lines_) text.append(line).append("\n");
  return text;
}

}  // namespace stokefs::base
