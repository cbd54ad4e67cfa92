#include "cache/stale_folders.h"

#include <algorithm>

namespace stokefs::cache {

void StaleFolders::Add(NodeId folder) {
  if (states_.size() >= options_.count_max && !states_.contains(folder)) return;
  states_[folder].is_wanted = true;
}

std::optional<NodeId> StaleFolders::TakeDue(base::TimePoint now) {
  for (auto at = states_.begin(); at != states_.end();) {
    State& state = at->second;
    bool const is_recent = state.last && now - *state.last < options_.interval_min;
    if (state.is_wanted && !state.is_running && !is_recent) {
      Begin(at->first);
      return at->first;
    }
    bool const is_over = !state.is_wanted && !state.is_running && !is_recent;
    at = is_over ? states_.erase(at) : std::next(at);
  }
  return std::nullopt;
}

bool StaleFolders::Begin(NodeId folder) {
  State& state = states_[folder];
  if (state.is_running) {
    state.is_wanted = true;
    return false;
  }
  state.is_wanted = false;
  state.is_running = true;
  ++running_count_;
  return true;
}

void StaleFolders::Done(NodeId folder, base::TimePoint now) {
  State& state = states_[folder];
  state.is_running = false;
  state.last = now;
  --running_count_;
}

bool StaleFolders::IsRunning(NodeId folder) const {
  auto const found = states_.find(folder);
  return found != states_.end() && found->second.is_running;
}

bool StaleFolders::AnyWanted() const {
  return std::any_of(states_.begin(), states_.end(),
                     [](const auto& entry) { return entry.second.is_wanted; });
}

}  // namespace stokefs::cache
