#include "tools/config.h"

#include <unistd.h>

#include <toml++/toml.h>
#include <cstdlib>
#include <map>

#include "base/file.h"
#include "base/machine_memory.h"
#include "tools/config_keys.h"
#include "tools/exit_status.h"
#include "tools/sizes.h"
#include "tools/source_name.h"

namespace stokefs::tools {
namespace {

using Values = std::vector<std::string>;

struct FileSetting {
  const ConfigKey* key = nullptr;
  std::string place;  // "train.toml:3: memory"
  Values values;
};

// A TOML value as the text that the flag would have; none when it is of the wrong type.
std::optional<std::string> TextOf(const toml::node& node, KeyKind kind) {
  bool const number = kind == KeyKind::kSize || kind == KeyKind::kCount;
  if (kind == KeyKind::kSwitch) {
    auto const value = node.value_exact<bool>();
    return value ? std::optional<std::string>(*value ? "true" : "false") : std::nullopt;
  }
  if (auto const value = node.value_exact<int64_t>(); value && number)
    return std::to_string(*value);
  if (kind == KeyKind::kCount) return {};
  return node.value_exact<std::string>();
}

std::string_view TypeText(KeyKind kind) {
  switch (kind) {
    case KeyKind::kText:
      return "a string";
    case KeyKind::kList:
      return "a string or a list of strings";
    case KeyKind::kSize:
      return "a size, as in \"4GiB\" or 4096";
    case KeyKind::kCount:
      return "a whole number";
    case KeyKind::kDuration:
      return "a duration, as in \"30s\"";
    case KeyKind::kSwitch:
      return "true or false";
  }
  return "";
}

base::Result<Values> ValuesOf(const toml::node& node, const ConfigKey& key) {
  Values values;
  auto const wrong = [&] { return Refuse("must be " + std::string(TypeText(key.kind))); };
  if (const toml::array* list = node.as_array(); list && key.kind == KeyKind::kList) {
    for (const toml::node& item : *list) {
      auto text = TextOf(item, KeyKind::kText);
      if (!text) return wrong();
      values.push_back(*std::move(text));
    }
    if (values.empty() && key.name != "option") return Refuse("must not be an empty list");
    return values;
  }
  auto text = TextOf(node, key.kind);
  if (!text) return wrong();
  values.push_back(*std::move(text));
  return values;
}

std::string PlaceOf(const std::string& file, const toml::source_region& region) {
  return file + ":" + std::to_string(region.begin.line);
}

base::Result<std::vector<FileSetting>> ReadToml(const std::string& file) {
  auto text = base::ReadFile(file);
  if (!text) return Refuse("configuration file " + text.error().message);
  std::vector<FileSetting> settings;
  try {
    toml::table const table = toml::parse(*text, file);
    for (const auto& [name, node] : table) {
      std::string const place = PlaceOf(file, node.source()) + ": " + std::string(name.str());
      const ConfigKey* key = FindConfigKey(name.str());
      if (!key) return Refuse(place + ": no such key");
      for (const FileSetting& earlier : settings)
        if (earlier.key == key) return Refuse(place + ": given twice, with '-' and with '_'");
      auto values = ValuesOf(node, *key);
      if (!values) return Refuse(place + ": " + values.error().message);
      settings.push_back({key, place, *std::move(values)});
    }
  } catch (const toml::parse_error& error) {
    return Refuse(PlaceOf(file, error.source()) + ": " + std::string(error.description()));
  }
  return settings;
}

}  // namespace

std::string MakeAbsolute(const std::string& path, const std::string& folder) {
  if (path.empty()) return path;
  std::string const whole = path[0] == '/' ? path : folder + "/" + path;
  std::string clean;
  for (size_t at = 0; at < whole.size();) {
    size_t const end = std::min(whole.find('/', at), whole.size());
    std::string const part = whole.substr(at, end - at);
    if (!part.empty() && part != ".") clean += "/" + part;
    at = end + 1;
  }
  return clean.empty() ? "/" : clean;
}

namespace {

void MakePathsAbsolute(MountConfig& config, const std::string& folder) {
  for (std::string* path : {&config.mount_point, &config.control_dir, &config.log})
    *path = MakeAbsolute(*path, folder);
  SourceName source = SourceName::Parse(config.source);
  source.path = MakeAbsolute(source.path, folder);
  config.source = source.Text();
  for (std::string& path : config.cache_dir) path = MakeAbsolute(path, folder);
}

base::Status ApplyFlags(MountConfig& config, const std::vector<Flag>& flags) {
  std::map<const ConfigKey*, Values> given;
  for (const Flag& flag : flags) {
    const ConfigKey* key = FindConfigKey(flag.name);
    if (!key) return Refuse("--" + flag.name + ": no such flag");
    Values& values = given[key];
    if (key->kind != KeyKind::kList) values.clear();
    values.push_back(flag.value);
  }
  for (const auto& [key, values] : given)
    if (base::Status set = key->set(config, values); !set)
      return Refuse("--" + std::string(key->name) + ": " + set.error().message);
  return {};
}

base::Status Complete(MountConfig& config, const Surroundings& surroundings) {
  if (SourceName::Parse(config.source).path.empty())
    return Refuse("SOURCE is missing (see stokefs mount --help)");
  if (config.mount_point.empty()) return Refuse("MNT is missing (see stokefs mount --help)");
  uint64_t const half = surroundings.memory_bytes / 2;
  if (config.memory > half)
    return Refuse("memory: " + SizeText(static_cast<double>(config.memory)) +
                  " is more than half of this machine's " +
                  SizeText(static_cast<double>(surroundings.memory_bytes)));
  if (config.large_file_bytes > config.memory)
    return Refuse("large-file-bytes: an extent of " +
                  SizeText(static_cast<double>(config.large_file_bytes)) +
                  " does not fit in memory, " + SizeText(static_cast<double>(config.memory)));
  for (size_t i = 0; i < config.cache_dir.size(); ++i)
    for (size_t j = 0; j < i; ++j)
      if (config.cache_dir[i] == config.cache_dir[j])
        return Refuse("cache-dir: " + config.cache_dir[i] + " is given twice");
  if (!config.cache_dir.empty()) return {};
  if (surroundings.is_root) {
    config.cache_dir = {"/var/cache/stokefs"};
  } else if (!surroundings.xdg_cache_home.empty()) {
    config.cache_dir = {MakeAbsolute(surroundings.xdg_cache_home + "/stokefs", "/")};
  } else if (!surroundings.home.empty()) {
    config.cache_dir = {MakeAbsolute(surroundings.home + "/.cache/stokefs", "/")};
  } else {
    return Refuse("cache-dir: neither XDG_CACHE_HOME nor HOME is set, so it must be given");
  }
  return {};
}

}  // namespace

Surroundings Surroundings::Read() {
  Surroundings here;
  if (char* folder = get_current_dir_name()) {
    here.working_folder = folder;
    free(folder);
  }
  auto const variable = [](const char* name) {
    const char* value = getenv(name);
    return std::string(value ? value : "");
  };
  here.home = variable("HOME");
  here.xdg_cache_home = variable("XDG_CACHE_HOME");
  // The XDG base directory specification: a relative path is to be ignored.
  if (!here.xdg_cache_home.starts_with('/')) here.xdg_cache_home.clear();
  here.is_root = geteuid() == 0;
  // In a container the group's limit is the machine.
  base::MachineMemory const memory = base::ReadMachineMemory();
  here.memory_bytes = std::min(memory.total_bytes, memory.limit_bytes);
  return here;
}

base::Result<MountConfig> ReadMountConfig(const std::string& toml_file,
                                          const std::vector<Flag>& flags,
                                          const Surroundings& surroundings) {
  MountConfig config;
  config.memory = std::min(config.memory, surroundings.memory_bytes / 2);
  if (!toml_file.empty()) {
    auto settings = ReadToml(toml_file);
    if (!settings) return Refuse(settings.error().message);
    for (const FileSetting& setting : *settings)
      if (base::Status set = setting.key->set(config, setting.values); !set)
        return Refuse(setting.place + ": " + set.error().message);
    std::string const file = MakeAbsolute(toml_file, surroundings.working_folder);
    MakePathsAbsolute(config, file.substr(0, file.rfind('/')));
  }
  base::Status status = ApplyFlags(config, flags);
  if (!status) return Refuse(status.error().message);
  MakePathsAbsolute(config, surroundings.working_folder);
  status = Complete(config, surroundings);
  if (!status) return Refuse(status.error().message);
  return config;
}

}  // namespace stokefs::tools
