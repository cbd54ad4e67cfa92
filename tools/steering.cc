#include "tools/steering.h"

#include <utility>

#include "tools/command_conversation.h"
#include "tools/command_paths.h"

namespace stokefs::tools {
namespace {

std::string FileOf(const std::string& folder, const char* name) {
  return folder.empty() ? std::string() : folder + "/" + name;
}

}  // namespace

Steering::Steering(const Parts& parts)
    : journal_(parts.journal),
      disk_(parts.disk == nullptr ? std::nullopt
                                  : std::optional<cache::DiskTierSteering>(*parts.disk)),
      fetcher_(parts.read_path, parts.memory, parts.disk),
      warmup_({.extent_bytes = parts.layout.extent_bytes}, parts.catalog, fetcher_),
      pins_(disk_ ? std::make_unique<cache::Pins>(
                        cache::Pins::Options{.file = FileOf(parts.dataset_folder, "pins"),
                                             .extent_bytes = parts.layout.extent_bytes},
                        parts.catalog, *disk_, warmup_, parts.journal)
                  : nullptr),
      background_(FileOf(parts.dataset_folder, "warmup"), parts.journal),
      runner_({}, CacheCommands({.source = parts.source,
                                 .layout = parts.layout,
                                 .catalog = parts.catalog,
                                 .memory = parts.memory,
                                 .disk = disk_ ? &*disk_ : nullptr,
                                 .pins = pins_.get(),
                                 .kernel = parts.kernel,
                                 .warmup = warmup_,
                                 .background = background_})) {}

void Steering::Start() {
  if (pins_ != nullptr) pins_->Start();
  auto const paths = background_.CutOff();
  if (!paths) return;
  Json request = {{"command", "warmup"}, {"paths", Json::array()}, {"background", true}};
  for (const std::string& path : *paths) request["paths"].push_back(PathJson(path));
  journal_.Info("going on with a warm-up that was cut off");
  (void)runner_.StartParsed(request);
}

std::unique_ptr<fs::ControlConversation> Steering::Converse() {
  return std::make_unique<CommandConversation>(runner_);
}

void Steering::Cancel() {
  background_.CutOffAtEnd();
  runner_.CancelAll();
  if (pins_ != nullptr) pins_->Cancel();
}

bool Steering::Stop(std::chrono::milliseconds limit) {
  Cancel();
  auto const end = std::chrono::steady_clock::now() + limit;
  bool const ended = runner_.Stop(limit);
  auto const left = std::chrono::ceil<std::chrono::milliseconds>(
      std::max(std::chrono::steady_clock::duration(0), end - std::chrono::steady_clock::now()));
  return (pins_ == nullptr || pins_->Stop(left)) && ended;
}

}  // namespace stokefs::tools
