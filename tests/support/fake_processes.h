// Processes that the test made up.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "base/processes.h"

namespace stokefs::testing {

// Changed by the test's thread only, between the calls of whoever asks it.
class FakeProcesses final : public base::Processes {
 public:
  std::optional<base::ProcessFacts> Of(uint32_t thread_id) const override {
    ++asked_count;
    auto const thread = pid_of_thread.find(thread_id);
    auto const found = facts.find(thread == pid_of_thread.end() ? thread_id : thread->second);
    if (found == facts.end()) return std::nullopt;
    return found->second;
  }
  // Started at tick `started`; in session 1.
  void Add(uint32_t pid, uint32_t parent, std::string executable, uint64_t started = 100) {
    facts[pid] = {.pid = pid,
                  .parent = parent,
                  .session = 1,
                  .started = started,
                  .executable = std::move(executable)};
  }

  std::map<uint32_t, base::ProcessFacts> facts;  // by pid
  std::map<uint32_t, uint32_t> pid_of_thread;    // of threads that are not the first
  mutable size_t asked_count = 0;
};

}  // namespace stokefs::testing
