#include "tools/config_text.h"

#include <cstdio>
#include <string_view>
#include <vector>

namespace stokefs::tools {
namespace {

// A TOML basic string; control bytes and what is no ASCII are kept as they are but for the few that
// TOML forbids.
std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      char escape[8];
      snprintf(escape, sizeof(escape), "\\u%04x", static_cast<unsigned>(c));
      quoted += escape;
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

std::string QuotedList(const std::vector<std::string>& texts) {
  std::string list = "[";
  for (const std::string& text : texts) list += (list.size() > 1 ? ", " : "") + Quoted(text);
  return list + "]";
}

}  // namespace

std::string ConfigText(const MountConfig& config) {
  using std::to_string;
  auto const deadline =
      std::chrono::duration_cast<std::chrono::milliseconds>(config.origin_deadline).count();
  std::string text = "# " + Quoted(config.source) + " on " + Quoted(config.mount_point) + "\n";
  text += "cache-dir = " + QuotedList(config.cache_dir) + "\n";
  text += "memory = " + to_string(config.memory) + "\n";
  text += "disk = " + to_string(config.disk) + "\n";
  text += "page-cache = " + Quoted(NameOf(config.page_cache)) + "\n";
  if (!config.control_dir.empty()) text += "control-dir = " + Quoted(config.control_dir) + "\n";
  if (!config.log.empty()) text += "log = " + Quoted(config.log) + "\n";
  text += "option = " + QuotedList(config.option) + "\n";
  text += "chunk-bytes = " + to_string(config.chunk_bytes) + "\n";
  text += "chunk-samples = " + to_string(config.chunk_samples) + "\n";
  text += "large-file-bytes = " + to_string(config.large_file_bytes) + "\n";
  text += "origin-threads = " + to_string(config.origin_threads) + "\n";
  text += "origin-queue = " + to_string(config.origin_queue) + "\n";
  text += "origin-deadline = " + Quoted(to_string(deadline) + "ms") + "\n";
  text += "parked-reads = " + to_string(config.parked_reads) + "\n";
  text += "scan-threads = " + to_string(config.scan_threads) + "\n";
  return text;
}

}  // namespace stokefs::tools
