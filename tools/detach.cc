#include "tools/detach.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>

#include "base/file.h"
#include "tools/exit_status.h"
#include "tools/timed_child.h"

namespace stokefs::tools {
namespace {

constexpr const char* kFusectl = "/sys/fs/fuse/connections";

// What fusermount3 writes on failure, or empty when it did its work.
base::Result<std::string> RunFusermount(const std::string& mount_point, DetachKind kind) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return base::FailErrno(errno, "a pipe");
  base::UniqueFd const from(ends[0]);
  base::UniqueFd to(ends[1]);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, to.Get(), STDERR_FILENO);
  const char* const flags = kind == DetachKind::kLazy ? "-uz" : "-u";
  std::array<const char*, 5> const arguments = {"fusermount3", flags, "--", mount_point.c_str(),
                                                nullptr};
  pid_t pid = 0;
  int const error = posix_spawnp(&pid, "fusermount3", &actions, nullptr,
                                 const_cast<char* const*>(arguments.data()), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return base::FailErrno(error, "fusermount3 (Debian package fuse3)");
  to.Reset();
  std::string said;
  std::array<char, 512> piece{};
  for (ssize_t got = 0; (got = read(from.Get(), piece.data(), piece.size())) > 0;)
    said.append(piece.data(), static_cast<size_t>(got));
  int status = 0;
  waitpid(pid, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return std::string();
  while (!said.empty() && said.back() == '\n') said.pop_back();
  return said.empty() ? "fusermount3 failed" : said;
}

base::Status DetachNow(const std::string& mount_point, DetachKind kind) {
  if (geteuid() == 0) {
    int const flags = UMOUNT_NOFOLLOW | (kind == DetachKind::kLazy ? MNT_DETACH : 0);
    if (umount2(mount_point.c_str(), flags) != 0) return base::FailErrno(errno, mount_point);
    return {};
  }
  auto const said = RunFusermount(mount_point, kind);
  if (!said) return Pass(said.error());
  if (said->empty()) return {};
  bool const busy = said->find("busy") != std::string::npos;
  return base::Fail(busy ? std::errc::device_or_resource_busy : std::errc::io_error, *said);
}

std::string ConnectionFile(uint32_t number, const char* name) {
  return std::string(kFusectl) + "/" + std::to_string(number) + "/" + name;
}

}  // namespace

base::Status Detach(const std::string& mount_point, DetachKind kind) {
  auto const done = RunTimed(std::chrono::seconds(5), [&](TimedChild::Reporter& report) {
    report.Step("unmount " + mount_point);
    if (base::Status status = DetachNow(mount_point, kind); !status) report.Fail(status.error());
  });
  if (!done) return Pass(done.error());
  return {};
}

base::Status AbortConnection(uint32_t number) {
  std::string const path = ConnectionFile(number, "abort");
  base::UniqueFd file(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file.Valid() && errno == ENOENT && geteuid() == 0) {
    mount("none", kFusectl, "fusectl", 0, nullptr);
    file = base::UniqueFd(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  }
  if (!file.Valid()) return base::FailErrno(errno, path);
  return base::WriteAll(file.Get(), "1");
}

std::optional<uint64_t> WaitingRequests(uint32_t number) {
  auto const text = base::ReadFile(ConnectionFile(number, "waiting"));
  if (!text) return {};
  return strtoull(text->c_str(), nullptr, 10);
}

}  // namespace stokefs::tools
