#include "tools/list_command.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tools/exit_status.h"
#include "tools/mount_checks.h"
#include "tools/mount_table.h"
#include "tools/process_state.h"
#include "tools/registry.h"
#include "tools/timed_child.h"

namespace stokefs::tools {
namespace {

struct Row {
  RegistryEntry entry;
  const char* state;
};

struct Question {
  RegistryEntry entry;
  std::unique_ptr<TimedChild> asked;  // null: known without asking
};

const char* StateOf(MountHealth health) {
  switch (health) {
    case MountHealth::kServing:
      return "serving";
    case MountHealth::kDead:
      return "stale";
    case MountHealth::kSilent:
      break;
  }
  return "not answering";
}

// All are asked at once, so that the whole takes 2 s however many hang.
std::vector<Row> AskAll(std::vector<RegistryEntry> entries, const MountTable& mounts) {
  auto const deadline = std::chrono::steady_clock::now() + std::chrono::seconds(2);
  std::vector<Question> questions;
  for (RegistryEntry& entry : entries) {
    Question question{std::move(entry), nullptr};
    auto const there = mounts.At(question.entry.mount_point);
    if (there && IsStokefs(*there) && IsRunning(question.entry.pid, question.entry.start_ticks))
      if (auto asked = StartAsking(question.entry.mount_point)) question.asked = *std::move(asked);
    questions.push_back(std::move(question));
  }
  std::vector<Row> rows;
  for (Question& question : questions) {
    auto const left = deadline - std::chrono::steady_clock::now();
    const char* const state =
        question.asked ? StateOf(AwaitHealth(*question.asked, left)) : "stale";
    rows.push_back({std::move(question.entry), state});
  }
  return rows;
}

void PrintText(const std::vector<Row>& rows) {
  if (rows.empty()) return;
  size_t mount_width = 5;
  size_t source_width = 6;
  for (const Row& row : rows) {
    mount_width = std::max(mount_width, row.entry.mount_point.size());
    source_width = std::max(source_width, row.entry.source.size());
  }
  auto const line = [&](const std::string& mount, const std::string& source, const std::string& pid,
                        const char* state) {
    std::printf("%-*s  %-*s  %8s  %s\n", static_cast<int>(mount_width), mount.c_str(),
                static_cast<int>(source_width), source.c_str(), pid.c_str(), state);
  };
  line("MOUNT", "SOURCE", "PID", "STATE");
  for (const Row& row : rows)
    line(row.entry.mount_point, row.entry.source, std::to_string(row.entry.pid), row.state);
}

void PrintJson(const std::vector<Row>& rows) {
  using Json = nlohmann::json;
  Json list = Json::array();
  for (const Row& row : rows) {
    Json item = {{"mount_point", row.entry.mount_point},
                 {"source", row.entry.source},
                 {"pid", row.entry.pid},
                 {"state", row.state},
                 {"control_path", row.entry.control_path},
                 {"cache_dirs", row.entry.cache_dirs},
                 {"started", row.entry.started_s},
                 {"connection", nullptr}};
    if (row.entry.connection) item["connection"] = *row.entry.connection;
    list.push_back(item);
  }
  std::printf("%s\n", list.dump(2, ' ', false, Json::error_handler_t::replace).c_str());
}

}  // namespace

int ListMounts(OutputForm form) {
  auto const mounts = MountTable::Read();
  if (!mounts) {
    std::fprintf(stderr, "stokefs: %s\n", mounts.error().message.c_str());
    return kExitFailed;
  }
  std::vector<Row> const rows = AskAll(Registry::OfThisUser().List(), *mounts);
  form == OutputForm::kJson ? PrintJson(rows) : PrintText(rows);
  return kExitDone;
}

}  // namespace stokefs::tools
