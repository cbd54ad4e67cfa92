#include "tools/stats_text.h"

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "tools/sizes.h"

namespace stokefs::tools {
namespace {

using Json = nlohmann::json;

__attribute__((format(printf, 1, 2))) std::string Format(const char* format, ...) {
  std::array<char, 256> text{};
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text.data(), text.size(), format, arguments);
  va_end(arguments);
  return text.data();
}

// A place in the statistics; what is not there, or is of another type, is none.
const Json* At(const Json& from, std::initializer_list<const char*> path) {
  const Json* here = &from;
  for (const char* key : path) {
    if (!here->is_object()) return nullptr;
    auto const found = here->find(key);
    if (found == here->end()) return nullptr;
    here = &*found;
  }
  return here;
}

std::optional<double> Number(const Json& from, std::initializer_list<const char*> path) {
  const Json* const value = At(from, path);
  return value && value->is_number() ? std::optional(value->get<double>()) : std::nullopt;
}

std::string Text(const Json& from, std::initializer_list<const char*> path) {
  const Json* const value = At(from, path);
  if (!value || value->is_null()) return "";
  if (value->is_string()) return value->get<std::string>();
  return value->dump(-1, ' ', false, Json::error_handler_t::replace);
}

const Json& List(const Json& from, std::initializer_list<const char*> path) {
  static const Json kNone = Json::array();
  const Json* const value = At(from, path);
  return value && value->is_array() ? *value : kNone;
}

// 60,000
std::string Count(std::optional<double> value) {
  if (!value) return "-";
  std::string text = Format("%.0f", *value);
  for (size_t at = text.size(); at > 3 && text[at - 4] != '-';) text.insert(at -= 3, ",");
  return text;
}

std::string Size(std::optional<double> value) { return value ? SizeText(*value) : "-"; }
std::string Ratio(std::optional<double> value) { return value ? Format("%.3f", *value) : "-"; }

std::string Microseconds(std::optional<double> value) {
  if (!value) return "-";
  if (*value < 1e3) return Format("%.0f us", *value);
  return *value < 1e6 ? Format("%.1f ms", *value / 1e3) : Format("%.1f s", *value / 1e6);
}

std::string Seconds(double value) {
  auto const whole = static_cast<int64_t>(value);
  if (whole < 60) return Format("%d s", static_cast<int>(whole));
  if (whole < 3600) return Format("%d min %d s", int(whole / 60), int(whole % 60));
  return Format("%ld h %d min", long(whole / 3600), int(whole % 3600 / 60));
}

class Page {
 public:
  Page(Json now, Json earlier, double seconds)
      : now_(std::move(now)), earlier_(std::move(earlier)), seconds_(seconds) {}

  std::string Render(const std::string& mount_point) {
    Line("mount", mount_point + ", process " + Text(now_, {"pid"}) + ", up " +
                      Seconds(Number(now_, {"uptime_s"}).value_or(0)) + ", version " +
                      Text(now_, {"version"}));
    Dataset();
    Reads();
    ReadAhead();
    Origin();
    Tiers();
    Jobs();
    Parked();
    return text_;
  }

 private:
  void Line(const char* label, const std::string& rest) {
    text_ += Format("%-11s", label) + rest + "\n";
  }

  // " (1,234/s)" while the refresh before is known.
  std::string Rate(std::initializer_list<const char*> path,
                   std::string (*show)(std::optional<double>)) {
    auto const now = Number(now_, path);
    auto const then = Number(earlier_, path);
    if (!now || !then || seconds_ <= 0) return "";
    return " (" + show(std::max(0.0, *now - *then) / seconds_) + "/s)";
  }

  void Dataset() {
    std::string const digest = Text(now_, {"dataset", "digest"});
    Line("dataset", Count(Number(now_, {"dataset", "samples"})) + " samples, " +
                        Size(Number(now_, {"dataset", "bytes"})) + ", " +
                        Count(Number(now_, {"dataset", "chunks"})) + " chunks, digest " +
                        (digest.empty() ? "not yet known" : digest));
    std::string const state = Text(now_, {"scan", "state"});
    if (state.empty()) return;
    std::string scan = state + ": " + Count(Number(now_, {"scan", "samples"})) + " samples, " +
                       Count(Number(now_, {"scan", "folders_listed"})) + " of " +
                       Count(Number(now_, {"scan", "folders"})) + " folders";
    if (Text(now_, {"scan", "loaded"}) == "true") scan += ", started from the catalog";
    if (Number(now_, {"scan", "errors"}).value_or(0) > 0)
      scan += ", " + Count(Number(now_, {"scan", "errors"})) + " errors";
    Line("scan", scan);
  }

  void Reads() {
    auto const samples = Number(now_, {"reads", "samples"});
    Line("reads", Count(samples) + " samples" + Rate({"reads", "samples"}, Count) + ", " +
                      Size(Number(now_, {"reads", "bytes"})) + Rate({"reads", "bytes"}, Size));
    std::string by_tier;
    for (const char* tier : {"memory", "disk", "origin"}) {
      auto const count = Number(now_, {"reads", tier});
      if (!count) continue;
      by_tier += (by_tier.empty() ? "" : ", ") + std::string(tier) + " " + Count(count);
      if (samples && *samples > 0) by_tier += Format(" (%.1f%%)", 100 * *count / *samples);
    }
    if (!by_tier.empty()) Line("  by tier", by_tier);
    Line("hit ratio", Ratio(Number(now_, {"hit_ratio"})));
    Line("latency", "p50 " + Microseconds(Number(now_, {"latency_us", "read_p50"})) + ", p99 " +
                        Microseconds(Number(now_, {"latency_us", "read_p99"})));
  }

  void ReadAhead() {
    auto const prefetched = Number(now_, {"read_ahead", "prefetched"});
    if (!prefetched || *prefetched == 0) return;
    Line("read-ahead", Count(prefetched) + " blocks" + Rate({"read_ahead", "prefetched"}, Count) +
                           ", " + Count(Number(now_, {"read_ahead", "used"})) + " used, " +
                           Count(Number(now_, {"read_ahead", "wasted"})) + " wasted");
  }

  void Origin() {
    Line("origin", Count(Number(now_, {"origin", "reads"})) + " reads" +
                       Rate({"origin", "reads"}, Count) + ", " +
                       Size(Number(now_, {"origin", "bytes"})) + Rate({"origin", "bytes"}, Size) +
                       ", " + Count(Number(now_, {"origin", "errors"})) + " errors");
  }

  static std::string Use(const Json& tier) {
    auto const used = Number(tier, {"used_bytes"});
    auto const budget = Number(tier, {"budget_bytes"});
    std::string text = Size(used) + " of " + Size(budget);
    if (used && budget && *budget > 0) text += Format(" (%.1f%%)", 100 * *used / *budget);
    return text;
  }

  static std::string DiskState(const Json& disk) {
    std::string const state = Text(disk, {"state"});
    if (state.empty() || state == "healthy") return "";
    return ", " + state + ": " + Text(disk, {"reason"});
  }

  void Tiers() {
    if (const Json* const memory = At(now_, {"tiers", "memory"})) Line("memory", Use(*memory));
    for (const Json& disk : List(now_, {"tiers", "disk"}))
      Line("disk", Use(disk) + " in " + Text(disk, {"path"}) + DiskState(disk));
    if (const Json* const disk = At(now_, {"disk"}); disk != nullptr && disk->is_object())
      Line("  packed", Count(Number(*disk, {"written"})) + " written" +
                           Rate({"disk", "written"}, Count) + ", " +
                           Count(Number(*disk, {"skipped"})) + " not kept, " +
                           Count(Number(*disk, {"damaged"})) + " damaged, " +
                           Size(Number(*disk, {"pending_bytes"})) + " under way");
    std::string const mode = Text(now_, {"page_cache"});
    if (!mode.empty()) Line("page cache", mode);
    Line("hints", Count(Number(now_, {"hints", "accepted"})) + " accepted, " +
                      Count(Number(now_, {"hints", "rejected"})) + " rejected");
  }

  void Jobs() {
    const Json& jobs = List(now_, {"jobs"});
    if (jobs.empty()) return;
    text_ += Format("%-24s %-8s %6s %10s %9s %6s  %s\n", "job", "state", "epoch", "samples",
                    "progress", "hits", "plan");
    for (const Json& job : jobs) {
      std::string name = Text(job, {"name"});
      std::string const root = Text(job, {"root"});
      if (!root.empty()) name += " " + root;
      std::string const state = Text(job, {"active"}) == "true" ? "active" : "ended";
      const Json& epochs = List(job, {"epochs"});
      if (epochs.empty()) text_ += Format("%-24.60s %s\n", name.c_str(), state.c_str());
      // The last five tell how it goes; --json has all.
      for (size_t i = epochs.size() > 5 ? epochs.size() - 5 : 0; i < epochs.size(); ++i) {
        const Json& epoch = epochs[i];
        text_ += Format("%-24.60s %-8s %6s %10s %8.1f%% %6s  %s\n", name.c_str(), state.c_str(),
                        Count(Number(epoch, {"index"})).c_str(),
                        Count(Number(epoch, {"samples"})).c_str(),
                        100 * Number(epoch, {"progress"}).value_or(0),
                        Ratio(Number(epoch, {"hit_ratio"})).c_str(),
                        Text(epoch, {"plan"}).substr(0, 60).c_str());
      }
    }
  }

  void Parked() {
    const Json& parked = List(now_, {"parked"});
    if (parked.empty()) return;
    Line("parked", Count(static_cast<double>(parked.size())) + " reads wait for bytes");
    for (size_t i = 0; i < parked.size() && i < 8; ++i)
      Line("", Microseconds(Number(parked[i], {"waited_ms"}).value_or(0) * 1e3) + ": " +
                   Text(parked[i], {"path"}) + " at " + Text(parked[i], {"offset"}) + " for " +
                   Text(parked[i], {"reader"}));
  }

  const Json now_;
  const Json earlier_;
  const double seconds_;
  std::string text_;
};

}  // namespace

base::Result<std::string> StatsText(const std::string& mount_point, const std::string& stats,
                                    const std::string& earlier, double seconds) {
  Json now = Json::parse(stats, nullptr, false);
  if (!now.is_object())
    return base::Fail(std::errc::bad_message, "the statistics of " + mount_point + " are no JSON");
  return Page(std::move(now), Json::parse(earlier, nullptr, false), seconds).Render(mount_point);
}

}  // namespace stokefs::tools
