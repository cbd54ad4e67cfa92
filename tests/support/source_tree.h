// A folder of the test's own that plays the origin, made of names and bytes.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "base/check.h"
#include "base/file.h"
#include "tests/support/temp_dir.h"

namespace stokefs::testing {

class SourceTree {
 public:
  const std::string& path() const { return dir_.path(); }
  std::string operator/(const std::string& name) const { return dir_ / name; }

  void File(const std::string& name, const std::string& bytes = "x") {
    std::filesystem::create_directories(std::filesystem::path(dir_ / name).parent_path());
    base::UniqueFd const fd(open((dir_ / name).c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644));
    STOKEFS_CHECK(fd.Valid());
    STOKEFS_CHECK(base::WriteAll(fd.Get(), bytes).has_value());
  }
  void Folder(const std::string& name) { std::filesystem::create_directories(dir_ / name); }
  void Link(const std::string& name, const std::string& target) {
    STOKEFS_CHECK(symlink(target.c_str(), (dir_ / name).c_str()) == 0);
  }
  void Remove(const std::string& name) { std::filesystem::remove_all(dir_ / name); }
  base::UniqueFd Open() const {
    return base::UniqueFd(open(dir_.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }

 private:
  TempDir dir_;
};

}  // namespace stokefs::testing
