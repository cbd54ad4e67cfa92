#include "tools/cache_commands.h"

#include <chrono>
#include <cstdio>
#include <utility>

#include "cache/verify_memory.h"
#include "tools/command_paths.h"
#include "tools/exit_status.h"

namespace stokefs::tools {
namespace {

using SteadyTime = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kLookPeriod(100);

tl::unexpected<base::Error> Cancelled() {
  return base::Fail(std::errc::operation_canceled, "cancelled");
}

// What most verbs are: no words to check before they begin.
CommandParser Plain(CommandLength length,
                    std::function<base::Result<Json>(const Json& request, RunningCommand&)> run) {
  return [length, run = std::move(run)](const Json& request) -> base::Result<CommandWork> {
    return CommandWork{
        .run = [run, request](RunningCommand& command) { return run(request, command); },
        .length = length};
  };
}

// And those that take paths: they are judged before anything begins.
CommandParser WithPaths(
    CommandLength length,
    std::function<base::Result<Json>(const std::vector<std::string>&, RunningCommand&)> run) {
  return [length, run = std::move(run)](const Json& request) -> base::Result<CommandWork> {
    auto paths = PathsOf(request);
    if (!paths) return Pass(paths.error());
    if (paths->empty()) return Refuse("no paths");
    return CommandWork{.run = [run, paths = std::move(*paths)](
                                  RunningCommand& command) { return run(paths, command); },
                       .length = length};
  };
}

base::Status AwaitCatalog(const SteeredParts& parts, RunningCommand& command) {
  return cache::AwaitWholeCatalog(parts.catalog, command.signal(), [&] {
    auto const progress = parts.catalog.Progress();
    command.Report({{"phase", "waiting for the first scan"},
                    {"folders", progress.folders_listed},
                    {"folders_total", progress.folder_count}});
  });
}

base::Result<Json> Refresh(const SteeredParts& parts, RunningCommand& command) {
  // Shared with the catalog's callback, which may come after this has been cancelled.
  struct Answer {
    base::Mutex mu;
    std::optional<base::Result<cache::RefreshReport>> report GUARDED_BY(mu);
    RunningCommand* waiting GUARDED_BY(mu) = nullptr;
  };
  auto const answer = std::make_shared<Answer>();
  {
    base::MutexLock lock(answer->mu);
    answer->waiting = &command;
  }
  parts.catalog.Refresh([answer](base::Result<cache::RefreshReport> report) {
    base::MutexLock lock(answer->mu);
    answer->report = std::move(report);
    if (answer->waiting != nullptr) answer->waiting->signal().Wake();
  });
  for (;;) {
    {
      base::MutexLock lock(answer->mu);
      if (command.signal().IsCancelled()) answer->waiting = nullptr;
      if (answer->waiting == nullptr) return Cancelled();
      if (answer->report) break;
    }
    auto const progress = parts.catalog.Refreshing();
    bool const is_scanning = !parts.catalog.Summary();
    command.Report({{"phase", progress.is_running ? "comparing"
                              : is_scanning       ? "waiting for the first scan"
                                                  : "waiting for its turn"},
                    {"folders", progress.folders},
                    {"folders_total", progress.folders_total}});
    command.signal().Wait(kLookPeriod);
  }
  base::MutexLock lock(answer->mu);
  if (!*answer->report) return Pass(answer->report->error());
  cache::RefreshReport const& report = **answer->report;
  return Json{{"added", report.added},
              {"changed", report.changed},
              {"removed", report.removed},
              {"errors", report.errors},
              {"error", report.error},
              {"digest", report.summary.digest},
              {"samples", report.summary.samples},
              {"bytes", report.summary.bytes}};
}

base::Result<Json> VerifyDisk(const SteeredParts& parts, RunningCommand& command) {
  if (parts.disk == nullptr) return Json(nullptr);
  auto const shown = [](const cache::DiskTier::VerifyReport& report) -> Json {
    return {{"files", report.files},
            {"files_total", report.files_total},
            {"blocks", report.blocks},
            {"bytes", report.bytes},
            {"damaged_blocks", report.damaged_blocks},
            {"damaged_files", report.damaged_files}};
  };
  while (parts.disk->Usage().loading) {
    if (command.signal().IsCancelled()) return Cancelled();
    command.Report({{"phase", "waiting for the chunk files' heads"}});
    command.signal().Wait(kLookPeriod);
  }
  auto const report = parts.disk->Verify([&](const cache::DiskTier::VerifyReport& now) {
    Json progress = shown(now);
    progress["phase"] = "disk";
    command.Report(std::move(progress));
    return !command.signal().IsCancelled();
  });
  if (command.signal().IsCancelled()) return Cancelled();
  return shown(report);
}

base::Result<Json> Verify(const SteeredParts& parts, RunningCommand& command) {
  auto disk = VerifyDisk(parts, command);
  if (!disk) return disk;
  auto const memory = cache::VerifyMemory(parts.memory, [&](const cache::MemoryVerifyReport& now) {
    command.Report({{"phase", "memory"}, {"blocks", now.blocks}, {"bytes", now.bytes}});
    return !command.signal().IsCancelled();
  });
  if (command.signal().IsCancelled()) return Cancelled();
  command.Report({{"phase", "catalog"}});
  auto const catalog = parts.catalog.VerifyKept();
  if (!catalog) return base::Wrap(catalog.error(), "the kept catalog");
  using KeptState = cache::Catalog::KeptState;
  bool const is_catalog_damaged = catalog->state == KeptState::kDamaged;
  uint64_t damaged = memory.damaged + (is_catalog_damaged ? 1 : 0);
  if (disk->is_object()) {
    damaged +=
        disk->value("damaged_blocks", uint64_t{0}) + disk->value("damaged_files", uint64_t{0});
  }
  return Json{
      {"disk", *disk},
      {"memory", {{"blocks", memory.blocks}, {"bytes", memory.bytes}, {"damaged", memory.damaged}}},
      {"catalog",
       {{"state", is_catalog_damaged                    ? "damaged"
                  : catalog->state == KeptState::kSound ? "sound"
                                                        : "none"},
        {"damage", catalog->damage}}},
      {"damaged", damaged}};
}

std::string HexText(uint64_t value) {
  char digits[17];
  snprintf(digits, sizeof(digits), "%016llx", static_cast<unsigned long long>(value));
  return digits;
}

Json ChunkText(const std::optional<cache::ChunkId>& chunk) {
  if (!chunk) return nullptr;
  return HexText(chunk->prefix) + "/" + std::to_string(chunk->bit_count);
}

base::Result<Json> Locate(const SteeredParts& parts, const std::string& path,
                          RunningCommand& command) {
  if (auto whole = AwaitCatalog(parts, command); !whole) return Pass(whole.error());
  auto const located = cache::Locate(path, parts.layout, parts.catalog, parts.memory, parts.disk);
  if (!located) return Pass(located.error());
  Json blocks = Json::array();
  for (cache::LocatedBlock const& block : located->blocks) {
    Json shown = {{"index", block.index},
                  {"offset", block.offset},
                  {"size", block.size_bytes},
                  {"memory", block.is_in_memory},
                  {"disk", nullptr}};
    if (block.on_disk) {
      shown["disk"] = {{"file", PathJson(block.on_disk->file)},
                       {"chunk", ChunkText(block.on_disk->chunk)},
                       {"offset", block.on_disk->offset},
                       {"length", block.on_disk->size_bytes},
                       {"pinned", block.on_disk->pinned}};
    }
    blocks.push_back(std::move(shown));
  }
  return Json{{"path", PathJson(located->path)},
              {"sample", HexText(located->id.high) + HexText(located->id.low)},
              {"size", located->size_bytes},
              {"chunk", ChunkText(located->chunk)},
              {"pinned", parts.pins != nullptr && parts.pins->Covers(located->path)},
              {"blocks", std::move(blocks)},
              {"origin", PathJson(parts.source + "/" + located->path)}};
}

const char* NameOf(cache::WarmupPhase phase) {
  switch (phase) {
    case cache::WarmupPhase::kWaiting:
      return "waiting for the first scan";
    case cache::WarmupPhase::kLooking:
      return "looking at what is there";
    case cache::WarmupPhase::kFetching:
      return "fetching";
    case cache::WarmupPhase::kFlushing:
      return "writing";
    case cache::WarmupPhase::kEnded:
      return "ended";
  }
  return "?";
}

Json WarmupJson(const cache::WarmupReport& report, double seconds) {
  Json failures = Json::array();
  for (std::string const& failure : report.failures) failures.push_back(failure);
  return {{"phase", NameOf(report.phase)},
          {"samples", report.samples},
          {"bytes", report.bytes},
          {"samples_there", report.samples_there},
          {"bytes_there", report.bytes_there},
          {"samples_fetched", report.samples_fetched},
          {"bytes_fetched", report.bytes_fetched},
          {"samples_failed", report.samples_failed},
          {"failures", std::move(failures)},
          {"samples_lost", report.samples_lost},
          {"full", report.is_full},
          {"seconds", seconds}};
}

base::Result<Json> RunWarmup(const SteeredParts& parts, const std::vector<std::string>& paths,
                             RunningCommand& command) {
  auto start = SteadyTime::now();
  auto phase = cache::WarmupPhase::kWaiting;
  auto const seconds = [&] {
    return std::chrono::duration<double>(SteadyTime::now() - start).count();
  };
  cache::MemoryPlace in_memory(parts.memory);
  std::optional<cache::DiskPlace> on_disk;
  if (parts.disk != nullptr) on_disk.emplace(*parts.disk, cache::DiskPlace::Room::kFree);
  cache::WarmupPlace& place = on_disk ? static_cast<cache::WarmupPlace&>(*on_disk) : in_memory;
  auto const report =
      parts.warmup.Run(paths, place, command.signal(), [&](const cache::WarmupReport& now) {
        // Rates are of the fetching, not of the wait before it.
        if (now.phase != phase && now.phase == cache::WarmupPhase::kFetching) {
          start = SteadyTime::now();
        }
        phase = now.phase;
        command.Report(WarmupJson(now, seconds()));
      });
  if (!report) return Pass(report.error());
  Json result = WarmupJson(*report, seconds());
  result["place"] = on_disk ? "disk" : "memory";
  return result;
}

base::Result<CommandWork> ParseWarmup(const SteeredParts& parts, const Json& request) {
  auto paths = PathsOf(request);
  if (!paths) return Pass(paths.error());
  bool const in_background = request.contains("background") && request["background"] == true;
  if (in_background && parts.background.IsRunning()) return BackgroundWarmup::Busy();
  auto const run = [parts, paths = std::move(*paths),
                    in_background](RunningCommand& command) -> base::Result<Json> {
    if (!in_background) return RunWarmup(parts, paths, command);
    if (auto begun = parts.background.Begin(command, paths); !begun) return Pass(begun.error());
    auto result = RunWarmup(parts, paths, command);
    parts.background.End(result);
    return result;
  };
  return CommandWork{.run = run, .length = CommandLength::kLong, .in_background = in_background};
}

Json EvictJson(const cache::EvictReport& report) {
  return {{"samples", report.samples},           {"disk_blocks", report.disk_blocks},
          {"disk_bytes", report.disk_bytes},     {"memory_blocks", report.memory_blocks},
          {"memory_bytes", report.memory_bytes}, {"pinned_samples", report.pinned_samples}};
}

base::Result<CommandWork> ParseEvict(const SteeredParts& parts, const Json& request) {
  auto paths = PathsOf(request);
  if (!paths) return Pass(paths.error());
  bool const is_all = request.contains("all") && request["all"] == true;
  bool const with_pinned = request.contains("pinned") && request["pinned"] == true;
  if (is_all != paths->empty()) return Refuse("say either what to evict or that it is all");
  auto const run = [parts, paths = std::move(*paths), is_all,
                    with_pinned](RunningCommand& command) -> base::Result<Json> {
    if (auto whole = AwaitCatalog(parts, command); !whole) return Pass(whole.error());
    cache::EvictParts const evicted{.extent_bytes = parts.layout.extent_bytes,
                                    .catalog = parts.catalog,
                                    .memory = parts.memory,
                                    .disk = parts.disk,
                                    .kernel = parts.kernel};
    auto const is_kept = [&](std::string_view path) {
      return !with_pinned && parts.pins != nullptr && parts.pins->Covers(path);
    };
    auto const watch = [&](const cache::EvictReport& now) { command.Report(EvictJson(now)); };
    auto const report = is_all ? cache::EvictEverything(evicted, is_kept, command.signal(), watch)
                               : cache::Evict(evicted, paths, is_kept, command.signal(), watch);
    if (!report) return Pass(report.error());
    return EvictJson(*report);
  };
  return CommandWork{.run = run, .length = CommandLength::kLong};
}

tl::unexpected<base::Error> NoDisk() {
  return base::Fail(std::errc::not_supported,
                    "pins keep samples on disk, and this mount has no disk tier (--disk 0)");
}

base::Result<Json> Pin(const SteeredParts& parts, const std::vector<std::string>& paths,
                       RunningCommand& command) {
  if (parts.pins == nullptr) return NoDisk();
  if (auto whole = AwaitCatalog(parts, command); !whole) return Pass(whole.error());
  for (std::string const& path : paths) {
    auto const found = parts.catalog.FindPath(path);
    if (!found) return base::Fail(found.error().code, path + ": " + found.error().message);
  }
  if (auto added = parts.pins->Add(paths); !added) return Pass(added.error());
  return Json{{"pinned", paths.size()}};
}

base::Result<Json> Unpin(const SteeredParts& parts, const std::vector<std::string>& paths) {
  if (parts.pins == nullptr) return NoDisk();
  if (auto removed = parts.pins->Remove(paths); !removed) return Pass(removed.error());
  return Json{{"unpinned", paths.size()}};
}

base::Result<Json> ListPins(const SteeredParts& parts, RunningCommand& command) {
  if (parts.pins == nullptr) return NoDisk();
  if (auto whole = AwaitCatalog(parts, command); !whole) return Pass(whole.error());
  auto const shares = parts.pins->Shares(command.signal());
  if (!shares) return Pass(shares.error());
  Json pins = Json::array();
  for (cache::PinShare const& share : *shares) {
    pins.push_back({{"path", PathJson(share.path)},
                    {"error", share.error ? Json(share.error->message) : Json(nullptr)},
                    {"samples", share.samples},
                    {"bytes", share.bytes},
                    {"samples_on_disk", share.samples_on_disk},
                    {"bytes_on_disk", share.bytes_on_disk}});
  }
  return Json{{"pins", std::move(pins)}, {"fetching", parts.pins->Fetching().has_value()}};
}

}  // namespace

std::map<std::string, CommandParser> CacheCommands(const SteeredParts& parts) {
  std::map<std::string, CommandParser> verbs;
  verbs["refresh"] = Plain(CommandLength::kLong, [parts](const Json&, RunningCommand& command) {
    return Refresh(parts, command);
  });
  verbs["verify"] = Plain(CommandLength::kLong, [parts](const Json&, RunningCommand& command) {
    return Verify(parts, command);
  });
  verbs["locate"] = [parts](const Json& request) -> base::Result<CommandWork> {
    auto const path = request.contains("path") ? ParsePathJson(request["path"]) : std::nullopt;
    auto const clean = path ? CleanPath(*path) : std::nullopt;
    if (!clean) return Refuse("no \"path\" inside the mount");
    return CommandWork{.run = [parts, path = *clean](RunningCommand& command) {
      return Locate(parts, path, command);
    }};
  };
  verbs["warmup"] = [parts](const Json& request) { return ParseWarmup(parts, request); };
  verbs["warmup-status"] =
      Plain(CommandLength::kShort, [parts](const Json&, RunningCommand&) -> base::Result<Json> {
        return parts.background.Show();
      });
  verbs["warmup-stop"] =
      Plain(CommandLength::kShort, [parts](const Json&, RunningCommand&) -> base::Result<Json> {
        return Json{{"stopped", parts.background.StopIt()}};
      });
  verbs["evict"] = [parts](const Json& request) { return ParseEvict(parts, request); };
  verbs["pin"] = WithPaths(CommandLength::kShort,
                           [parts](const std::vector<std::string>& paths, RunningCommand& command) {
                             return Pin(parts, paths, command);
                           });
  verbs["unpin"] =
      WithPaths(CommandLength::kShort, [parts](const std::vector<std::string>& paths,
                                               RunningCommand&) { return Unpin(parts, paths); });
  verbs["pins"] = Plain(CommandLength::kShort, [parts](const Json&, RunningCommand& command) {
    return ListPins(parts, command);
  });
  return verbs;
}

}  // namespace stokefs::tools
