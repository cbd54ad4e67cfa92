#include "tools/registry.h"

#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "tools/detach.h"
#include "tools/exit_status.h"
#include "tools/mount_table.h"

namespace stokefs::tools {
namespace {

using Json = nlohmann::json;

// Paths are bytes and JSON is text: bytes that are no UTF-8, '%' and control characters go as %XX.
std::string ToText(std::string_view path) {
  std::string text;
  for (unsigned char const byte : path) {
    if (byte >= 0x20 && byte < 0x7f && byte != '%') {
      text += static_cast<char>(byte);
      continue;
    }
    std::array<char, 4> code{};
    std::snprintf(code.data(), code.size(), "%%%02X", static_cast<unsigned>(byte));
    text += code.data();
  }
  return text;
}

std::string FromText(std::string_view text) {
  std::string path;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      path += static_cast<char>(strtoul(std::string(text.substr(i + 1, 2)).c_str(), nullptr, 16));
      i += 2;
    } else {
      path += text[i];
    }
  }
  return path;
}

std::string ToJson(const RegistryEntry& entry) {
  Json json = {{"pid", entry.pid},
               {"start_ticks", entry.start_ticks},
               {"mount_point", ToText(entry.mount_point)},
               {"source", ToText(entry.source)},
               {"control_path", ToText(entry.control_path)},
               {"control_made", entry.control_made},
               {"cache_dirs", Json::array()},
               {"lock_path", ToText(entry.lock_path)},
               {"started", entry.started_s},
               {"connection", nullptr}};
  for (const std::string& folder : entry.cache_dirs) json["cache_dirs"].push_back(ToText(folder));
  if (entry.connection) json["connection"] = *entry.connection;
  return json.dump(1) + "\n";
}

std::optional<RegistryEntry> FromJson(const std::string& id, const std::string& text) {
  try {
    Json const json = Json::parse(text);
    RegistryEntry entry{.id = id};
    entry.pid = json.at("pid").get<pid_t>();
    entry.start_ticks = json.at("start_ticks").get<uint64_t>();
    entry.mount_point = FromText(json.at("mount_point").get<std::string>());
    entry.source = FromText(json.at("source").get<std::string>());
    entry.control_path = FromText(json.at("control_path").get<std::string>());
    entry.control_made = json.at("control_made").get<bool>();
    for (const Json& folder : json.at("cache_dirs"))
      entry.cache_dirs.push_back(FromText(folder.get<std::string>()));
    entry.lock_path = FromText(json.at("lock_path").get<std::string>());
    entry.started_s = json.at("started").get<int64_t>();
    if (json.at("connection").is_number()) entry.connection = json.at("connection").get<uint32_t>();
    return entry;
  } catch (const Json::exception&) {
    return {};
  }
}

std::string RuntimeFolder() {
  if (geteuid() == 0) return "/run";
  const char* const given = getenv("XDG_RUNTIME_DIR");
  if (given && given[0] == '/') return given;
  return "/tmp/stokefs-" + std::to_string(geteuid());
}

base::Status MakeOwnFolder(const std::string& path, mode_t mode) {
  struct stat st {};
  if (mkdir(path.c_str(), mode) != 0 && errno != EEXIST) return base::FailErrno(errno, path);
  if (lstat(path.c_str(), &st) != 0) return base::FailErrno(errno, path);
  if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid())
    return Refuse(path + " must be a folder of this user's own");
  return {};
}

}  // namespace

std::string MountId(std::string_view canonical_mount_point) {
  std::array<char, 17> text{};
  unsigned long long const hash =
      XXH3_64bits(canonical_mount_point.data(), canonical_mount_point.size());
  std::snprintf(text.data(), text.size(), "%016llx", hash);
  return text.data();
}

Registry::Registry(std::string folder, std::string also_read)
    : folder_(std::move(folder)), also_read_(std::move(also_read)) {}

Registry Registry::OfThisUser() {
  std::string folder = RuntimeFolder() + "/stokefs";
  return Registry(folder, folder == "/run/stokefs" ? "" : "/run/stokefs");
}

base::Status Registry::Prepare() const {
  bool const shared = folder_.starts_with("/tmp/stokefs-");
  if (shared) {
    base::Status const above = MakeOwnFolder(folder_.substr(0, folder_.rfind('/')), 0700);
    if (!above) return base::Wrap(above.error(), "the folder of running mounts");
  }
  base::Status const made = MakeOwnFolder(folder_, geteuid() == 0 ? 0755 : 0700);
  if (!made) return base::Wrap(made.error(), "the folder of running mounts");
  return {};
}

base::Status Registry::Claim(const RegistryEntry& entry) const {
  std::string const beside = FileOf(entry.id) + ".claim." + std::to_string(getpid());
  base::Status status = base::WriteFileAtomically(beside, ToJson(entry));
  if (status && link(beside.c_str(), FileOf(entry.id).c_str()) != 0)
    status = base::FailErrno(errno, FileOf(entry.id));
  unlink(beside.c_str());
  return status;
}

base::Status Registry::Write(const RegistryEntry& entry) const {
  return base::WriteFileAtomically(FileOf(entry.id), ToJson(entry));
}

void Registry::Remove(const std::string& id) const { unlink(FileOf(id).c_str()); }

void Registry::RemoveUnreadable(const std::string& id) const {
  auto const text = base::ReadFile(FileOf(id));
  if (text && !FromJson(id, *text)) Remove(id);
}

std::optional<RegistryEntry> Registry::Read(const std::string& id) const {
  for (const Registry& registry : {Registry(folder_), Registry(also_read_)}) {
    if (registry.folder_.empty()) continue;
    auto const text = base::ReadFile(registry.FileOf(id));
    if (text)
      if (auto entry = FromJson(id, *text)) return entry;
  }
  return {};
}

std::vector<RegistryEntry> Registry::List() const {
  std::vector<RegistryEntry> entries;
  std::error_code error;
  for (const auto& file : std::filesystem::directory_iterator(folder_, error)) {
    if (file.path().extension() != ".json") continue;
    auto const text = base::ReadFile(file.path());
    if (!text) continue;
    if (auto entry = FromJson(file.path().stem(), *text)) entries.push_back(*std::move(entry));
  }
  std::sort(entries.begin(), entries.end(), [](const RegistryEntry& a, const RegistryEntry& b) {
    return a.mount_point < b.mount_point;
  });
  return entries;
}

void CleanUp(const Registry& registry, const RegistryEntry& entry) {
  auto const mounts = MountTable::Read();
  if (mounts) {
    // A connection that was aborted leaves its mount in the tree.
    auto const dataset = mounts->At(entry.mount_point);
    bool const ours =
        dataset && IsStokefs(*dataset) && entry.connection && dataset->minor == *entry.connection;
    if (ours) (void)Detach(entry.mount_point, DetachKind::kLazy);
    auto const control = mounts->At(entry.control_path);
    // What remains when this fails is found again by the next mount there.
    if (control && IsStokefs(*control)) (void)Detach(entry.control_path, DetachKind::kLazy);
  }
  if (entry.control_made) rmdir(entry.control_path.c_str());
  registry.Remove(entry.id);
}

}  // namespace stokefs::tools
