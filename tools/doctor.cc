#include "tools/doctor.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "tools/config.h"
#include "tools/exit_status.h"

namespace stokefs::tools {
namespace {

void PrintText(const std::vector<Finding>& findings) {
  size_t width = 0;
  for (const Finding& finding : findings) width = std::max(width, finding.name.size());
  for (const Finding& finding : findings) {
    std::printf("%-5s  %-*s  %s", finding.ok ? "ok" : "lacks", static_cast<int>(width),
                finding.name.c_str(), finding.found.c_str());
    if (!finding.ok && !finding.advice.empty()) std::printf(": %s", finding.advice.c_str());
    std::printf("\n");
  }
}

void PrintJson(const std::vector<Finding>& findings, bool possible) {
  using Json = nlohmann::json;
  Json list = Json::array();
  for (const Finding& finding : findings)
    list.push_back({{"name", finding.name},
                    {"ok", finding.ok},
                    {"needed", finding.need == Need::kMount},
                    {"found", finding.found},
                    {"advice", finding.ok ? "" : finding.advice}});
  Json const all = {{"mounting_possible", possible}, {"findings", list}};
  std::printf("%s\n", all.dump(2, ' ', false, Json::error_handler_t::replace).c_str());
}

}  // namespace

int Doctor(const std::vector<std::string>& cache_dirs, OutputForm form) {
  std::vector<std::string> folders = cache_dirs;
  if (folders.empty()) {
    auto const config =
        ReadMountConfig("", {{"source", "/"}, {"mount-point", "/"}}, Surroundings::Read());
    if (config) folders = config->cache_dir;
  }
  std::vector<Finding> findings;
  auto const add = [&](std::vector<Finding> more) {
    for (Finding& finding : more) findings.push_back(std::move(finding));
  };
  add(ExamineKernel());
  add(ExamineMemory());
  for (const std::string& folder : folders) add(ExamineCache(folder));
  add(ExaminePackages());
  add(ExamineGpu());
  bool const possible = std::all_of(findings.begin(), findings.end(), [](const Finding& finding) {
    return finding.ok || finding.need == Need::kExtra;
  });
  form == OutputForm::kJson ? PrintJson(findings, possible) : PrintText(findings);
  if (!possible) std::fprintf(stderr, "stokefs: mounting is not possible here, see above\n");
  return possible ? kExitDone : kExitFailed;
}

}  // namespace stokefs::tools
