#include "tools/command_text.h"

#include <cstdint>
#include <cstdio>

#include "tools/command_paths.h"
#include "tools/sizes.h"

namespace stokefs::tools {
namespace {

using Json = nlohmann::ordered_json;

// What is missing or of another kind reads as 0 or "": an older daemon's answer is shown as far as
// it goes.
uint64_t Count(const Json& from, const char* key) {
  return from.is_object() && from.contains(key) && from[key].is_number() ? from[key].get<uint64_t>()
                                                                         : 0;
}
std::string Word(const Json& from, const char* key) {
  return from.is_object() && from.contains(key) && from[key].is_string()
             ? from[key].get<std::string>()
             : "";
}
const Json& Part(const Json& from, const char* key) {
  static const Json nothing;
  return from.is_object() && from.contains(key) ? from[key] : nothing;
}
std::string PathText(const Json& json) { return ParsePathJson(json).value_or("?"); }
std::string Size(uint64_t bytes) { return SizeText(static_cast<double>(bytes)); }

std::string Counted(uint64_t count, const char* what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

std::string SecondsText(double seconds) {
  auto const whole = static_cast<uint64_t>(seconds + 0.5);
  if (whole < 60) return std::to_string(whole) + " s";
  if (whole < 3600) return std::to_string(whole / 60) + " min " + std::to_string(whole % 60) + " s";
  return std::to_string(whole / 3600) + " h " + std::to_string(whole / 60 % 60) + " min";
}

double Seconds(const Json& from) {
  const Json& seconds = Part(from, "seconds");
  return seconds.is_number() ? seconds.get<double>() : 0;
}

}  // namespace

std::string RefreshProgressText(const Json& progress) {
  std::string const phase = Word(progress, "phase");
  if (phase.empty()) return "";
  uint64_t const total = Count(progress, "folders_total");
  if (total == 0) return phase;
  return phase + ": " + std::to_string(Count(progress, "folders")) + " of " +
         Counted(total, "folder");
}

std::string VerifyProgressText(const Json& progress) {
  std::string const phase = Word(progress, "phase");
  if (phase == "disk") {
    return "disk: " + std::to_string(Count(progress, "files")) + " of " +
           Counted(Count(progress, "files_total"), "file") + ", " + Size(Count(progress, "bytes"));
  }
  if (phase == "memory") return "memory: " + Counted(Count(progress, "blocks"), "block");
  return phase;
}

std::string WarmupProgressText(const Json& progress) {
  std::string const phase = Word(progress, "phase");
  uint64_t const samples = Count(progress, "samples");
  if (phase != "fetching" || samples == 0) return phase;
  uint64_t const fetched_bytes = Count(progress, "bytes_fetched");
  uint64_t const done = Count(progress, "samples_there") + Count(progress, "samples_fetched") +
                        Count(progress, "samples_failed");
  uint64_t const done_bytes = Count(progress, "bytes_there") + fetched_bytes;
  std::string text = std::to_string(done) + " of " + Counted(samples, "sample") + ", " +
                     Size(done_bytes) + " of " + Size(Count(progress, "bytes"));
  double const seconds = Seconds(progress);
  if (fetched_bytes > 0 && seconds > 0.5) {
    double const rate = static_cast<double>(fetched_bytes) / seconds;
    text += ", " + SizeText(rate) + "/s";
    uint64_t const left = Count(progress, "bytes") - std::min(Count(progress, "bytes"), done_bytes);
    text += ", " + SecondsText(static_cast<double>(left) / rate) + " left";
  }
  if (uint64_t const failed = Count(progress, "samples_failed")) {
    text += ", " + std::to_string(failed) + " failed";
  }
  return text;
}

std::string EvictProgressText(const Json& progress) {
  uint64_t const samples = Count(progress, "samples");
  return samples == 0 ? Word(progress, "phase") : Counted(samples, "sample");
}

std::string RefreshText(const Json& result) {
  std::string text = std::to_string(Count(result, "added")) + " added, " +
                     std::to_string(Count(result, "changed")) + " changed, " +
                     std::to_string(Count(result, "removed")) + " removed; now " +
                     Counted(Count(result, "samples"), "sample") + ", " +
                     Size(Count(result, "bytes")) + ", digest " + Word(result, "digest") + "\n";
  if (uint64_t const errors = Count(result, "errors")) {
    text += Counted(errors, "folder or entry")
                .append(" stayed as before, because the source would not tell: ") +
            Word(result, "error") + "\n";
  }
  return text;
}

std::string VerifyText(const Json& result) {
  const Json& disk = Part(result, "disk");
  const Json& memory = Part(result, "memory");
  const Json& catalog = Part(result, "catalog");
  std::string text;
  if (disk.is_object()) {
    text += "disk: " + Counted(Count(disk, "files"), "file") + ", " +
            Counted(Count(disk, "blocks"), "block") + ", " + Size(Count(disk, "bytes"));
    uint64_t const blocks = Count(disk, "damaged_blocks"), files = Count(disk, "damaged_files");
    if (blocks + files > 0) {
      text += "; damaged: " + Counted(blocks, "block") + ", " + Counted(files, "file") +
              ", put aside, to be fetched again when next read";
    }
    text += "\n";
  } else {
    text += "disk: no disk tier\n";
  }
  text +=
      "memory: " + Counted(Count(memory, "blocks"), "block") + ", " + Size(Count(memory, "bytes"));
  if (uint64_t const damaged = Count(memory, "damaged")) {
    text += "; damaged: " + Counted(damaged, "block") + ", forgotten, to be fetched again";
  }
  std::string const state = Word(catalog, "state");
  text += "\ncatalog: " + (state == "none" ? "none is kept yet" : state);
  if (state == "damaged") text += " (" + Word(catalog, "damage") + "), put aside and written anew";
  text += "\n";
  text += Count(result, "damaged") == 0 ? "all right\n" : "";
  return text;
}

std::string LocateText(const Json& result) {
  std::string text = PathText(Part(result, "path")) + "\n";
  text += "  sample   " + Word(result, "sample") + "\n";
  text += "  size     " + std::to_string(Count(result, "size")) + " B\n";
  std::string const chunk = Word(result, "chunk");
  text += "  chunk    " + (chunk.empty() ? "none: it lies in extents of its own" : chunk) + "\n";
  const Json& blocks = Part(result, "blocks");
  uint64_t in_memory = 0, on_disk = 0;
  std::string places;
  for (size_t i = 0; blocks.is_array() && i < blocks.size();) {
    // Neighbours in one file, one behind the other, are told as one.
    const Json& disk = Part(blocks[i], "disk");
    uint64_t length = Count(disk, "length");
    size_t end = i + 1;
    for (; disk.is_object() && end < blocks.size(); ++end) {
      const Json& next = Part(blocks[end], "disk");
      if (!next.is_object() || Part(next, "file") != Part(disk, "file")) break;
      length += Count(next, "length");
    }
    for (size_t at = i; at < end; ++at) in_memory += Part(blocks[at], "memory") == true ? 1 : 0;
    if (disk.is_object()) {
      on_disk += end - i;
      places += "  on disk  " + PathText(Part(disk, "file")) + " at " +
                std::to_string(Count(disk, "offset")) + ", " + std::to_string(length) + " B";
      if (end - i > 1) places += " in " + Counted(end - i, "extent");
      places += "\n";
    }
    i = end;
  }
  uint64_t const count = blocks.is_array() ? blocks.size() : 0;
  auto const share = [count](uint64_t part) {
    if (count == 1) return std::string(part == 1 ? "yes" : "no");
    return std::to_string(part) + " of " + Counted(count, "extent");
  };
  if (count > 0) text += "  memory   " + share(in_memory) + "\n";
  text += places;
  if (count > 0 && on_disk < count) text += "  on disk  " + share(on_disk) + "\n";
  if (Part(result, "pinned") == true) text += "  pinned   yes\n";
  return text + "  origin   " + PathText(Part(result, "origin")) + "\n";
}

std::string WarmupText(const Json& result) {
  std::string text = Counted(Count(result, "samples_fetched"), "sample") + " fetched (" +
                     Size(Count(result, "bytes_fetched")) + " in " + SecondsText(Seconds(result)) +
                     "), " + std::to_string(Count(result, "samples_there")) + " were there, of " +
                     Counted(Count(result, "samples"), "sample") + "\n";
  std::string const place = Word(result, "place");
  if (Part(result, "full") == true) {
    text += place == "memory" ? "stopped: memory is full (there is no disk tier)\n"
                              : "stopped: the disk tier takes no more\n";
  }
  if (uint64_t const lost = Count(result, "samples_lost")) {
    text += Counted(lost, "sample") + " came but could not be kept\n";
  }
  if (uint64_t const failed = Count(result, "samples_failed")) {
    text += Counted(failed, "sample") + " failed:\n";
    for (const Json& failure : Part(result, "failures")) {
      if (failure.is_string()) text += "  " + failure.get<std::string>() + "\n";
    }
  }
  return text;
}

std::string WarmupStatusText(const Json& result) {
  std::string const state = Word(result, "state");
  if (state == "none" || state.empty()) return "no warm-up has run in the background\n";
  if (state == "running") {
    return "running: " + WarmupProgressText(Part(result, "progress")) + "\n";
  }
  if (state == "done") return "done: " + WarmupText(Part(result, "result"));
  return state + ": " + Word(result, "error") + "\n";
}

std::string EvictText(const Json& result) {
  std::string text = Counted(Count(result, "disk_blocks"), "block") + " on disk (" +
                     Size(Count(result, "disk_bytes")) + "), " +
                     Counted(Count(result, "memory_blocks"), "block") + " in memory (" +
                     Size(Count(result, "memory_bytes")) + ") evicted\n";
  if (uint64_t const pinned = Count(result, "pinned_samples")) {
    text += Counted(pinned, "pinned sample") + " left where they are (see --pinned)\n";
  }
  return text;
}

std::string PinsText(const Json& result) {
  std::string text;
  for (const Json& pin : Part(result, "pins")) {
    std::string const path = PathText(Part(pin, "path"));
    text += (path.empty() ? "." : path) + ": ";
    if (std::string const error = Word(pin, "error"); !error.empty()) {
      text += error + "\n";
      continue;
    }
    text += std::to_string(Count(pin, "samples_on_disk")) + " of " +
            Counted(Count(pin, "samples"), "sample") + " on disk, " +
            Size(Count(pin, "bytes_on_disk")) + " of " + Size(Count(pin, "bytes")) + "\n";
  }
  return text.empty() ? "nothing is pinned\n" : text;
}

}  // namespace stokefs::tools
