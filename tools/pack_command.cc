#include "tools/pack_command.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/file.h"
#include "cache/packer.h"
#include "tools/exit_status.h"
#include "tools/mount_table.h"
#include "tools/path_nesting.h"
#include "tools/sizes.h"

namespace stokefs::tools {
namespace {

struct Places {
  base::UniqueFd source;
  std::string source_path;  // canonical
  std::string out_path;     // canonical as far as it exists
};

base::Result<Places> OpenPlaces(const std::string& source, const std::string& out) {
  auto const mounts = MountTable::Read();
  if (!mounts) return Pass(mounts.error());
  Places places;
  places.source = base::UniqueFd(open(source.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!places.source.Valid()) {
    if (errno == ENOENT) return Refuse("source " + source + " does not exist");
    if (errno == ENOTDIR) return Refuse("source " + source + " is not a folder");
    return Refuse("source " + source + ": " + std::generic_category().message(errno));
  }
  auto const from = PathPlace::Of(source, *mounts);
  if (!from) return Refuse("source " + from.error().message);
  auto const to = PathPlace::Of(out, *mounts);
  if (!to) return Refuse("output " + to.error().message);
  places.source_path = from->canonical();
  places.out_path = to->canonical();
  if (to->IsAtOrBelow(*from)) {
    return Refuse("output " + places.out_path + " is at or below the source " + places.source_path +
                  ": the source is never written");
  }
  if (from->IsAtOrBelow(*to)) {
    return Refuse("source " + places.source_path + " is below the output " + places.out_path);
  }
  struct stat st {};
  if (to->exists() && stat(places.out_path.c_str(), &st) == 0 && !S_ISDIR(st.st_mode)) {
    return Refuse("output " + places.out_path + " is not a folder");
  }
  return places;
}

// One line of a terminal, written over and over.
class ProgressLine {
 public:
  ~ProgressLine() { End(); }

  void Show(const cache::PackProgress& progress) {
    if (isatty(STDERR_FILENO) == 0) return;
    if (progress.step == cache::PackProgress::Step::kListing) {
      std::fprintf(stderr, "\r\033[Klisting the source");
    } else {
      auto const done = static_cast<double>(progress.bytes_done);
      auto const all = static_cast<double>(progress.bytes);
      std::fprintf(stderr, "\r\033[Kpacked %s of %s (%.0f%%)", SizeText(done).c_str(),
                   SizeText(all).c_str(), all > 0 ? 100 * done / all : 100.0);
    }
    is_shown_ = true;
  }
  void End() {
    if (std::exchange(is_shown_, false)) std::fprintf(stderr, "\r\033[K");
  }

 private:
  bool is_shown_ = false;
};

int Fail(const base::Error& error) {
  std::fprintf(stderr, "stokefs: %s\n", error.message.c_str());
  bool const is_refused = error.code == std::errc::directory_not_empty ||
                          error.code == std::errc::device_or_resource_busy;
  return is_refused ? kExitRefused : ExitStatusOf(error);
}

void PrintSums(const cache::PackSummary& sums, double seconds, OutputForm form) {
  double const rate = seconds > 0 ? static_cast<double>(sums.bytes) / seconds / 1e6 : 0;
  if (form == OutputForm::kJson) {
    nlohmann::json const json = {{"digest", sums.digest},
                                 {"samples", sums.samples},
                                 {"bytes", sums.bytes},
                                 {"files", sums.files},
                                 {"reused_files", sums.reused_files},
                                 {"written_bytes", sums.written_bytes},
                                 {"seconds", seconds},
                                 {"mb_per_s", rate}};
    std::printf("%s\n", json.dump(2).c_str());
    return;
  }
  std::printf("packed %llu samples, %s, in %.1f s (%.1f MB/s): %llu chunk files",
              static_cast<unsigned long long>(sums.samples),
              SizeText(static_cast<double>(sums.bytes)).c_str(), seconds, rate,
              static_cast<unsigned long long>(sums.files));
  if (sums.reused_files > 0) {
    std::printf(", %llu of them there before", static_cast<unsigned long long>(sums.reused_files));
  }
  std::printf("\n");
}

}  // namespace

int PackDataset(const PackRequest& request) {
  const MountConfig& config = request.config;
  auto places = OpenPlaces(config.source, request.out);
  if (!places) return Fail(places.error());
  ProgressLine line;
  auto const start = std::chrono::steady_clock::now();
  auto const sums = cache::Pack(
      {.out = places->out_path,
       .source_paths = {places->source_path, config.source},
       .layout = {.chunk_bytes = config.chunk_bytes, .chunk_samples = config.chunk_samples},
       .extent_bytes = config.large_file_bytes,
       .threads = request.threads,
       .scan_threads = config.scan_threads,
       .on_progress = [&](const cache::PackProgress& progress) { line.Show(progress); }},
      std::move(places->source));
  line.End();
  if (!sums) return Fail(sums.error());
  std::chrono::duration<double> const taken = std::chrono::steady_clock::now() - start;
  PrintSums(*sums, taken.count(), request.form);
  return kExitDone;
}

}  // namespace stokefs::tools
