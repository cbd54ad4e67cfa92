// The commands of fsctl, by groups: each takes its words and returns the exit status.
#pragma once

#include <string>
#include <vector>

namespace stokefs::tools {

using Words = std::vector<std::string>;

// fsctl_watch.cc
int RunStats(const Words& words);
int RunEvents(const Words& words);
int RunConfig(const Words& words);

// fsctl_why.cc
int RunWhy(const Words& words);

// fsctl_check.cc
int RunRefresh(const Words& words);
int RunVerify(const Words& words);
int RunLocate(const Words& words);

// fsctl_keep.cc
int RunWarmup(const Words& words);
int RunEvict(const Words& words);
int RunPin(const Words& words);
int RunUnpin(const Words& words);

}  // namespace stokefs::tools
