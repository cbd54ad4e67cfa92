// What a job waits for, in words and as JSON.
#include <array>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "tools/sizes.h"
#include "tools/why.h"

namespace stokefs::tools {
namespace {

using Json = nlohmann::ordered_json;
using cache::Tier;

constexpr std::array kTierNames = {"gpu", "memory", "disk", "peer", "origin"};

[[gnu::format(printf, 1, 2)]] std::string Format(const char* format, ...) {
  std::array<char, 256> text{};
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text.data(), text.size(), format, arguments);
  va_end(arguments);
  return text.data();
}

double Rounded(double value) { return std::round(value * 1e6) / 1e6; }
double ShareOf(double part, double all) { return all > 0 ? part / all : 0; }
double BusySeconds(const TracedEpoch& epoch) { return epoch.thought_s + epoch.WaitedSeconds(); }
double HitRatio(const TracedEpoch& epoch) {
  return ShareOf(static_cast<double>(epoch.HitCount()), static_cast<double>(epoch.ReadCount()));
}

const char* NameOf(WhatIf::Change change) {
  switch (change) {
    case WhatIf::Change::kMemory:
      return "memory";
    case WhatIf::Change::kDisk:
      return "disk";
    case WhatIf::Change::kOrderKnown:
      break;
  }
  return "plan";
}

std::string ChangeText(const WhatIf& what_if) {
  if (what_if.change == WhatIf::Change::kOrderKnown) return "the order known";
  return "+" + SizeText(static_cast<double>(what_if.more_bytes)) + " " + NameOf(what_if.change) +
         (what_if.holds_all ? " (all fits)" : "");
}

std::string BoundText(const std::string& bound) { return bound + "-bound"; }

std::string WhatIfText(const WhatIf& what_if, double seconds_now) {
  double const shorter = seconds_now > 0 ? 1 - what_if.seconds / seconds_now : 0;
  std::string change = "about as long";
  if (shorter >= 0.005) change = Format("%.0f%% shorter", 100 * shorter);
  if (shorter <= -0.005) change = Format("%.0f%% longer", -100 * shorter);
  return Format("    %-32s hits %.3f, epoch %s%s; %s\n", (ChangeText(what_if) + ":").c_str(),
                what_if.hit_ratio, what_if.at_best ? "at best " : "", change.c_str(),
                BoundText(what_if.bound).c_str());
}

std::string JobText(const JobWhy& job) {
  TracedEpoch const& epoch = job.epoch;
  double const busy_s = BusySeconds(epoch);
  std::string text = job.name + (job.root.empty() ? "" : " (" + job.root + ")") + ": " +
                     BoundText(job.bound) + "\n";
  text +=
      Format("  epoch %llu: %llu reads in %.1f s, hits %.3f\n",
             static_cast<unsigned long long>(epoch.index),
             static_cast<unsigned long long>(epoch.ReadCount()), epoch.seconds, HitRatio(epoch));
  text += Format("  %-8s %5.1f%% of its readers' time\n", "thinks",
                 100 * ShareOf(epoch.thought_s, busy_s));
  for (size_t i = 0; i < epoch.by_tier.size(); ++i) {
    TracedTier const& tier = epoch.by_tier[i];
    if (tier.read_count == 0) continue;
    text += Format("  %-8s %5.1f%%: %llu reads waited %.3f ms each\n", kTierNames[i],
                   100 * ShareOf(tier.waited_s, busy_s),
                   static_cast<unsigned long long>(tier.read_count),
                   1000 * tier.waited_s / static_cast<double>(tier.read_count));
  }
  if (!job.why_no_what_if.empty()) return text + "  what if: " + job.why_no_what_if + "\n";
  text += Format("  what if (the policy alone would have hit %.3f)\n", job.replayed_hits);
  for (WhatIf const& what_if : job.what_if) text += WhatIfText(what_if, epoch.seconds);
  return text;
}

Json JobJson(const JobWhy& job) {
  TracedEpoch const& epoch = job.epoch;
  double const busy_s = BusySeconds(epoch);
  Json wait = Json::object();
  for (size_t i = static_cast<size_t>(Tier::kMemory); i < epoch.by_tier.size(); ++i) {
    wait[kTierNames[i]] = {{"reads", epoch.by_tier[i].read_count},
                           {"seconds", Rounded(epoch.by_tier[i].waited_s)},
                           {"share", Rounded(ShareOf(epoch.by_tier[i].waited_s, busy_s))}};
  }
  Json what_if = Json::array();
  for (WhatIf const& one : job.what_if) {
    Json row = {{"change", NameOf(one.change)}};
    if (one.change != WhatIf::Change::kOrderKnown) row["more_bytes"] = one.more_bytes;
    row["hit_ratio"] = Rounded(one.hit_ratio);
    row["seconds"] = Rounded(one.seconds);
    row["shorter"] = Rounded(1 - ShareOf(one.seconds, epoch.seconds));
    row["at_best"] = one.at_best;
    row["bound"] = one.bound;
    what_if.push_back(std::move(row));
  }
  return {{"name", job.name},
          {"root", job.root},
          {"epoch", epoch.index},
          {"progress", Rounded(epoch.progress)},
          {"seconds", Rounded(epoch.seconds)},
          {"reads", epoch.ReadCount()},
          {"hit_ratio", Rounded(HitRatio(epoch))},
          {"think",
           {{"seconds", Rounded(epoch.thought_s)},
            {"share", Rounded(ShareOf(epoch.thought_s, busy_s))}}},
          {"wait", wait},
          {"bound", job.bound},
          {"replayed_hit_ratio", Rounded(job.replayed_hits)},
          {"what_if", what_if}};
}

}  // namespace

std::string WhyText(const std::vector<JobWhy>& jobs) {
  if (jobs.empty()) return "no job is at work: who reads in order, or too little, is none\n";
  std::string text;
  for (JobWhy const& job : jobs) text += (text.empty() ? "" : "\n") + JobText(job);
  return text;
}

std::string WhyJson(const std::vector<JobWhy>& jobs) {
  Json list = Json::array();
  for (JobWhy const& job : jobs) list.push_back(JobJson(job));
  return Json{{"jobs", list}}.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace stokefs::tools
