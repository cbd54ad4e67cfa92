#include "tools/background_warmup.h"

#include <utility>

#include "cache/path_list.h"
#include "tools/command_paths.h"

namespace stokefs::tools {

tl::unexpected<base::Error> BackgroundWarmup::Busy() {
  return base::Fail(std::errc::device_or_resource_busy,
                    "a warm-up runs in the background already (see --status and --stop)");
}

base::Status BackgroundWarmup::Begin(RunningCommand& command,
                                     const std::vector<std::string>& paths) {
  Json shown = Json::array();
  for (const std::string& path : paths) shown.push_back(PathJson(path));
  {
    base::MutexLock lock(mu_);
    if (running_ != nullptr) return Busy();
    running_ = &command;
    last_ = {{"state", "running"}, {"paths", std::move(shown)}};
  }
  if (file_.empty()) return {};
  if (auto saved = cache::SavePathList(file_, paths); !saved) {
    journal_.Warning("a warm-up will not be gone on with at the next mount: " +
                     saved.error().message);
  }
  return {};
}

void BackgroundWarmup::End(const base::Result<Json>& result) {
  bool is_cut_off = false;
  {
    base::MutexLock lock(mu_);
    Json const progress = running_->Show()["progress"];
    running_ = nullptr;
    is_cut_off = is_ending_;
    last_["progress"] = progress;
    bool const is_stopped = !result && result.error().code == std::errc::operation_canceled;
    last_["state"] = result ? "done" : is_stopped ? "cancelled" : "failed";
    if (result) last_["result"] = *result;
    if (!result) last_["error"] = result.error().message;
  }
  if (is_cut_off) return;
  if (!result && result.error().code != std::errc::operation_canceled) {
    journal_.Warning("the warm-up in the background failed: " + result.error().message);
  }
  if (file_.empty()) return;
  if (auto removed = cache::RemovePathList(file_); !removed) {
    journal_.Warning("a warm-up that has ended will start again: " + removed.error().message);
  }
}

std::optional<std::vector<std::string>> BackgroundWarmup::CutOff() {
  if (file_.empty()) return std::nullopt;
  auto paths = cache::LoadPathList(file_);
  if (paths) return std::move(*paths);
  journal_.Warning("a warm-up that was cut off is not gone on with: " + paths.error().message);
  (void)cache::RemovePathList(file_);
  return std::nullopt;
}

Json BackgroundWarmup::Show() const {
  base::MutexLock lock(mu_);
  Json shown = last_;
  if (running_ != nullptr) shown["progress"] = running_->Show()["progress"];
  return shown;
}

bool BackgroundWarmup::IsRunning() const {
  base::MutexLock lock(mu_);
  return running_ != nullptr;
}

bool BackgroundWarmup::StopIt() {
  base::MutexLock lock(mu_);
  if (running_ == nullptr) return false;
  running_->Cancel();
  return true;
}

void BackgroundWarmup::CutOffAtEnd() {
  base::MutexLock lock(mu_);
  is_ending_ = true;
}

}  // namespace stokefs::tools
