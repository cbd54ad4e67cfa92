// Reads many small files as a data loader does and prints how long it took, without an
// interpreter's overhead around each system call.
//
//   read_files PATTERN PROCESSES ROUND FOLDER < LIST
//
// PATTERN `whole`: open, fstat, one read of the file's size, close. `loader`: what CPython and PIL
// do for a JPEG or PNG: open, fstat, ioctl(TCGETS), two lseeks, reads of 4096, then 61440, then
// 65536 bytes until the end, close. LIST: NUL-separated paths below FOLDER. Each of PROCESSES reads
// its share of all files, shuffled by ROUND, or in the list's order when ROUND is `-`. Prints
// nanoseconds from the start of all to the end of the last, and the bytes read.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <random>
#include <string>
#include <vector>

namespace {

[[noreturn]] void Die(const std::string& what) {
  perror(what.c_str());
  exit(1);
}

// Shared by the processes: a starting gate and the sum.
struct Gate {
  std::atomic<int> ready{0};
  std::atomic<bool> go{false};
  std::atomic<uint64_t> bytes{0};
};

uint64_t ReadWhole(int fd, uint64_t size, char* buffer) {
  ssize_t const got = size > 0 ? read(fd, buffer, size) : 0;
  if (got < 0) Die("read");
  return static_cast<uint64_t>(got);
}

uint64_t ReadAsLoader(int fd, char* buffer) {
  struct termios terminal;
  ioctl(fd, TCGETS, &terminal);
  lseek(fd, 0, SEEK_CUR);
  lseek(fd, 0, SEEK_CUR);
  uint64_t sum = 0;
  for (size_t wanted = 4096;; wanted = wanted == 4096 ? 61440 : 65536) {
    ssize_t const got = read(fd, buffer, wanted);
    if (got < 0) Die("read");
    sum += static_cast<uint64_t>(got);
    // A short first piece was a small PNG whose decoder has met its end mark.
    if (got == 0 || (wanted == 4096 && got < 4096)) return sum;
  }
}

uint64_t ReadAll(int folder, const std::vector<std::string>& paths, bool as_loader) {
  std::vector<char> buffer(1 << 20);
  uint64_t sum = 0;
  for (const std::string& path : paths) {
    int const fd = openat(folder, path.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat attr;
    if (fd < 0 || fstat(fd, &attr) != 0) Die(path);
    if (buffer.size() < static_cast<size_t>(attr.st_size)) buffer.resize(attr.st_size);
    sum += as_loader ? ReadAsLoader(fd, buffer.data())
                     : ReadWhole(fd, static_cast<uint64_t>(attr.st_size), buffer.data());
    close(fd);
  }
  return sum;
}

std::vector<std::string> ReadList() {
  std::vector<std::string> paths;
  std::string path;
  for (int c; (c = getchar()) != EOF;) {
    if (c != '\0') {
      path += static_cast<char>(c);
    } else {
      paths.push_back(path);
      path.clear();
    }
  }
  return paths;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5 || (strcmp(argv[1], "whole") != 0 && strcmp(argv[1], "loader") != 0)) {
    fprintf(stderr, "usage: read_files whole|loader PROCESSES ROUND FOLDER < LIST\n");
    return 2;
  }
  bool const as_loader = strcmp(argv[1], "loader") == 0;
  int const processes = atoi(argv[2]);
  std::vector<std::string> paths = ReadList();
  if (strcmp(argv[3], "-") != 0)
    std::shuffle(paths.begin(), paths.end(), std::mt19937_64(strtoull(argv[3], nullptr, 10)));
  int const folder = open(argv[4], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) Die(argv[4]);
  auto* const gate =
      new (mmap(nullptr, sizeof(Gate), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))
          Gate;
  for (int rank = 0; rank < processes; rank++) {
    pid_t const child = fork();
    if (child < 0) Die("fork");
    if (child > 0) continue;
    std::vector<std::string> share;
    for (size_t i = static_cast<size_t>(rank); i < paths.size();
         i += static_cast<size_t>(processes))
      share.push_back(paths[i]);
    gate->ready++;
    while (!gate->go) usleep(50);
    gate->bytes += ReadAll(folder, share, as_loader);
    _exit(0);
  }
  while (gate->ready < processes) usleep(50);
  auto const start = std::chrono::steady_clock::now();
  gate->go = true;
  for (int rank = 0; rank < processes; rank++) {
    int status = 0;
    if (wait(&status) < 0 || status != 0) return 1;
  }
  std::chrono::nanoseconds const took = std::chrono::steady_clock::now() - start;
  printf("%lld %llu\n", static_cast<long long>(took.count()),
         static_cast<unsigned long long>(gate->bytes));
  return 0;
}
