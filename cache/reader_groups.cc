#include "cache/reader_groups.h"

#include <chrono>
#include <utility>

namespace stokefs::cache {
namespace {

constexpr std::chrono::seconds kRemembered{5};
constexpr size_t kKnownCountMax = 4096;
constexpr unsigned kDepthMax = 16;

}  // namespace

const ReaderGroup* ReaderGroups::GroupOf(ReaderId reader) {
  base::TimePoint const now = clock_.Now();
  if (known_.size() > kKnownCountMax) known_.clear();
  auto const [entry, is_new] = known_.try_emplace(reader.thread_id);
  Known& known = entry->second;
  if (is_new || now - known.when > kRemembered) {
    std::optional<ReaderGroup> found = LookUp(reader);
    // One that is gone stays whose it was: its last reads are still looked at.
    if (found || is_new) known.group = std::move(found);
    known.when = now;
  }
  return known.group ? &*known.group : nullptr;
}

std::optional<ReaderGroup> ReaderGroups::LookUp(ReaderId reader) const {
  if (reader.thread_id == 0) return ReaderGroup{.name = "unknown"};
  std::optional<base::ProcessFacts> top = processes_.Of(reader.thread_id);
  if (!top) return std::nullopt;
  for (unsigned depth = 0; depth < kDepthMax && top->parent != 0; ++depth) {
    std::optional<base::ProcessFacts> parent = processes_.Of(top->parent);
    bool const belongs = parent && !top->executable.empty() &&
                         parent->executable == top->executable && parent->session == top->session;
    if (!belongs) break;
    top = std::move(parent);
  }
  std::string const file = top->executable.substr(top->executable.rfind('/') + 1);
  return ReaderGroup{.pid = top->pid,
                     .started = top->started,
                     .name = (file.empty() ? "process" : file) + "-" + std::to_string(top->pid)};
}

bool ReaderGroups::IsAlive(const ReaderGroup& group) const {
  if (group.pid == 0) return true;
  std::optional<base::ProcessFacts> const facts = processes_.Of(group.pid);
  return facts && facts->pid == group.pid && facts->started == group.started;
}

}  // namespace stokefs::cache
