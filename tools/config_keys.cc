#include "tools/config_keys.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "tools/exit_status.h"
#include "tools/mount_options.h"
#include "tools/sizes.h"

namespace stokefs::tools {
namespace {

using Values = std::vector<std::string>;

struct Range {
  uint64_t min = 0;
  uint64_t max = std::numeric_limits<uint64_t>::max();
};

template <auto field>
base::Status SetText(MountConfig& config, const Values& values) {
  if (values[0].empty()) return Refuse("must not be empty");
  if (values[0].find('\0') != std::string::npos) return Refuse("must not hold a zero byte");
  config.*field = values[0];
  return {};
}

template <auto field, Range range>
base::Status SetSize(MountConfig& config, const Values& values) {
  auto const bytes = ParseSize(values[0]);
  if (!bytes) return Refuse(bytes.error().message);
  if (*bytes < range.min || *bytes > range.max) {
    return Refuse("\"" + values[0] + "\" must be at least " +
                  SizeText(static_cast<double>(range.min)) + " and at most " +
                  SizeText(static_cast<double>(range.max)));
  }
  config.*field = *bytes;
  return {};
}

template <auto field, Range range>
base::Status SetCount(MountConfig& config, const Values& values) {
  uint32_t count = 0;
  const std::string& text = values[0];
  auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc{} || end != text.data() + text.size() || count < range.min ||
      count > range.max) {
    return Refuse("\"" + text + "\" is not a whole number from " + std::to_string(range.min) +
                  " to " + std::to_string(range.max));
  }
  config.*field = count;
  return {};
}

base::Status SetDeadline(MountConfig& config, const Values& values) {
  auto const limit = ParseDuration(values[0]);
  if (!limit) return Refuse(limit.error().message);
  if (*limit < std::chrono::milliseconds(1) || *limit > std::chrono::hours(24))
    return Refuse("\"" + values[0] + "\" must be at least 1ms and at most 24h");
  config.origin_deadline = *limit;
  return {};
}

base::Status SetCacheDir(MountConfig& config, const Values& values) {
  for (const std::string& folder : values) {
    if (folder.empty()) return Refuse("must not be empty");
    if (folder.find('\0') != std::string::npos) return Refuse("must not hold a zero byte");
  }
  config.cache_dir = values;
  return {};
}

base::Status SetPageCache(MountConfig& config, const Values& values) {
  using Mode = cache::PageCacheMode;
  if (values[0] == "keep")
    config.page_cache = Mode::kKeep;
  else if (values[0] == "drop")
    config.page_cache = Mode::kDrop;
  else if (values[0] == "auto")
    config.page_cache = Mode::kAuto;
  else
    return Refuse("\"" + values[0] + "\" is not one of keep, drop, auto");
  return {};
}

base::Status SetOption(MountConfig& config, const Values& values) {
  std::string joined;
  for (const std::string& value : values) joined += value + ",";
  auto options = ParseMountOptions(joined);
  if (!options) return Refuse(options.error().message);
  config.option = *std::move(options);
  return {};
}

base::Status SetForeground(MountConfig& config, const Values& values) {
  if (values[0] != "true" && values[0] != "false")
    return Refuse("\"" + values[0] + "\" is not true or false");
  config.foreground = values[0] == "true";
  return {};
}

using C = MountConfig;
constexpr uint64_t kMiB = 1u << 20;
constexpr uint64_t kTiB = uint64_t{1} << 40;

constexpr ConfigKey kKeys[] = {
    {"source", "", KeyKind::kText, "DIR", "the dataset to show (or as the first argument)",
     SetText<&C::source>},
    {"mount-point", "", KeyKind::kText, "DIR", "where to show it (or as the second argument)",
     SetText<&C::mount_point>},
    {"cache-dir", "", KeyKind::kList, "DIR",
     "where to keep catalog and chunks; may be given again (default: $XDG_CACHE_HOME/stokefs; for "
     "root /var/cache/stokefs)",
     SetCacheDir},
    {"memory", "", KeyKind::kSize, "SIZE",
     "bytes of the memory tier, at most half of the machine's (default: 4GiB, or that half)",
     SetSize<&C::memory, Range{kMiB, 1024 * kTiB}>},
    {"disk", "", KeyKind::kSize, "SIZE",
     "bytes of the disk tier over all cache directories; 0: none (default: 100GiB)",
     SetSize<&C::disk, Range{0, kMiB* kTiB}>},
    {"page-cache", "", KeyKind::kText, "MODE",
     "whether the kernel keeps what was read: keep, drop or auto (default: auto)", SetPageCache},
    {"control-dir", "", KeyKind::kText, "DIR",
     "where the control mount goes (default: /run/stokefs/<id> or $XDG_RUNTIME_DIR/stokefs/<id>)",
     SetText<&C::control_dir>},
    {"log", "", KeyKind::kText, "FILE", "the log (default: in the dataset's cache folder)",
     SetText<&C::log>},
    {"option", "o", KeyKind::kList, "OPT,...", "mount options, as for mount(8)", SetOption},
    {"foreground", "f", KeyKind::kSwitch, "", "do not go to the background", SetForeground},
    {"chunk-bytes", "", KeyKind::kSize, "SIZE", "a chunk is split above this (default: 4MiB)",
     SetSize<&C::chunk_bytes, Range{kMiB / 16, 1024 * kMiB}>},
    {"chunk-samples", "", KeyKind::kCount, "N",
     "a chunk is split above this many samples (default: 1024)",
     SetCount<&C::chunk_samples, Range{1, 65536}>},
    {"large-file-bytes", "", KeyKind::kSize, "SIZE",
     "larger files are read in extents of this size (default: 1MiB)",
     SetSize<&C::large_file_bytes, Range{kMiB / 16, 1024 * kMiB}>},
    {"origin-threads", "", KeyKind::kCount, "N", "threads that read the source (default: 32)",
     SetCount<&C::origin_threads, Range{1, 1024}>},
    {"origin-queue", "", KeyKind::kCount, "N",
     "fetches that may wait for such a thread (default: 1024)",
     SetCount<&C::origin_queue, Range{1, 1u << 20}>},
    {"origin-deadline", "", KeyKind::kDuration, "TIME",
     "the longest wait for one read or listing of the source (default: 30s)", SetDeadline},
    {"parked-reads", "", KeyKind::kCount, "N",
     "READs that may wait for bytes; more are refused (default: 768)",
     SetCount<&C::parked_reads, Range{1, 1000}>},
    {"scan-threads", "", KeyKind::kCount, "N", "threads of the first scan (default: 16)",
     SetCount<&C::scan_threads, Range{1, 256}>},
};

}  // namespace

std::span<const ConfigKey> ConfigKeys() { return kKeys; }

const ConfigKey* FindConfigKey(std::string_view name) {
  std::string dashed(name);
  std::replace(dashed.begin(), dashed.end(), '_', '-');
  for (const ConfigKey& key : kKeys)
    if (key.name == dashed) return &key;
  return nullptr;
}

}  // namespace stokefs::tools
