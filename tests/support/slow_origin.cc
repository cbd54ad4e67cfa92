// A test's origin: shows a folder read-only over FUSE, and is slow or broken as it is told.
//
//   slow_origin FOLDER MOUNT_POINT CONTROL_SOCKET        (stays in the foreground)
//
// Nothing is cached by the kernel (timeouts 0, direct I/O), so every request of the program under
// test arrives and is counted. Requests are taken by one thread and never wait there: one that is
// delayed or hung is kept as a closure and run by the clerk's thread when it is due, so that any
// number can hang at once. Interrupts are ignored, as a hard NFS mount does.
//
// CONTROL_SOCKET is a unix stream socket; one command a line, one line of answer: "ok", "error WHY"
// or JSON. PATH is below FOLDER without a leading '/' ('.': FOLDER itself), percent-encoded.
//   delay_us N           each open and read takes N µs           (0: none)
//   meta_delay_us N      the same for lookups, stats, listings and links
//   bandwidth N          the bytes read share a line of N bytes/s (0: endless)
//   parallel N           N delayed requests are served at once    (0: all)
//   hang PATH|*          requests on PATH, or all, are not answered until released
//   release              answers all that hang, and hangs no more
//   fail ERRNO PATH      open, read and list of PATH fail so
//   short PATH           reads of PATH give half of what was asked (legal: POSIX lets them)
//   cut PATH             PATH ends at half of the size that stat tells (a broken origin)
//   heal                 forgets all fail, short and cut
//   counters             JSON: requests by kind, bytes read, hung now
//   opened PATH          how often PATH was opened, as a number
#define FUSE_USE_VERSION 314
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using Time = Clock::time_point;
using Work = std::function<void()>;

enum class Kind { kLookup, kGetattr, kReadlink, kReaddir, kOpen, kRead };
constexpr const char* kKindName[] = {"lookups", "getattrs", "readlinks",
                                     "readdirs", "opens", "reads"};
constexpr size_t kKindCount = std::size(kKindName);

// Decides when each request runs, and runs the late ones.
class Clerk {
 public:
  Clerk() : thread_([this] { Run(); }) {}

  // Runs `work` now, later or when released. `bytes` is what it will read.
  void Submit(Kind kind, const std::string& path, uint64_t bytes, Work work) {
    counts_[static_cast<size_t>(kind)]++;
    {
      std::lock_guard const lock(mu_);
      if (kind == Kind::kOpen) opened_[path]++;
      if (hang_all_ || hang_.count(path) != 0) {
        hung_.push_back(std::move(work));
        return;
      }
      Time const now = Clock::now();
      Time const due = Due(kind, bytes, now);
      if (due > now) {
        late_.emplace(due, std::move(work));
        wake_.notify_one();
        return;
      }
    }
    work();
  }

  void CountBytes(uint64_t bytes) { bytes_ += bytes; }

  int Failure(const std::string& path) {
    std::lock_guard const lock(mu_);
    auto const found = fail_.find(path);
    return found == fail_.end() ? 0 : found->second;
  }

  // How much of a read of `size` at `offset` in a file of `file_size` is given.
  uint64_t Granted(const std::string& path, uint64_t offset, uint64_t size, uint64_t file_size) {
    std::lock_guard const lock(mu_);
    if (cut_.count(path) != 0) {
      uint64_t const end = file_size / 2;
      size = offset >= end ? 0 : std::min(size, end - offset);
    }
    if (short_.count(path) != 0 && size > 1) size /= 2;
    return size;
  }

  std::string Command(const std::string& line);

  // Answers everything that waits, and ends the thread.
  void Stop() {
    {
      std::lock_guard const lock(mu_);
      stop_ = true;
      for (Work& work : hung_) late_.emplace(Time(), std::move(work));
      hung_.clear();
    }
    wake_.notify_one();
    thread_.join();
  }

 private:
  Time Due(Kind kind, uint64_t bytes, Time now) {
    auto const delay =
        kind == Kind::kOpen || kind == Kind::kRead ? delay_ : meta_delay_;
    Time due = now;
    if (delay.count() > 0) {
      if (lanes_.empty()) {
        due += delay;
      } else {
        auto const lane = std::min_element(lanes_.begin(), lanes_.end());
        due = *lane = std::max(*lane, now) + delay;
      }
    }
    if (bandwidth_ > 0 && bytes > 0) {
      auto const took = std::chrono::nanoseconds(bytes * 1'000'000'000 / bandwidth_);
      due = line_free_ = std::max(line_free_, due) + took;
    }
    return due;
  }

  void Run() {
    std::unique_lock lock(mu_);
    while (true) {
      if (late_.empty()) {
        if (stop_) return;
        wake_.wait(lock);
      } else if (auto const first = late_.begin(); stop_ || first->first <= Clock::now()) {
        Work const work = std::move(first->second);
        late_.erase(first);
        lock.unlock();
        work();
        lock.lock();
      } else {
        Time const due = first->first;
        wake_.wait_until(lock, due);
      }
    }
  }

  std::atomic<uint64_t> counts_[kKindCount] = {};
  std::atomic<uint64_t> bytes_{0};
  std::mutex mu_;
  std::condition_variable wake_;
  std::multimap<Time, Work> late_;
  std::vector<Work> hung_;
  bool stop_ = false;
  bool hang_all_ = false;
  std::set<std::string> hang_, short_, cut_;
  std::map<std::string, int> fail_;
  std::map<std::string, uint64_t> opened_;
  std::chrono::microseconds delay_{0}, meta_delay_{0};
  uint64_t bandwidth_ = 0;
  std::vector<Time> lanes_;  // when each of `parallel` is free again
  Time line_free_{};
  std::thread thread_;  // last: runs on the fields above
};

std::string Decoded(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); i++) {
    if (text[i] == '%' && i + 2 < text.size()) {
      out += static_cast<char>(std::stoi(text.substr(i + 1, 2), nullptr, 16));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::string Clerk::Command(const std::string& line) {
  std::istringstream in(line);
  std::string verb, first, second;
  in >> verb >> first >> second;
  std::string const path = Decoded(first);
  std::lock_guard const lock(mu_);
  if (verb == "counters") {
    std::ostringstream out;
    for (size_t i = 0; i < kKindCount; i++) out << (i ? ", \"" : "{\"") << kKindName[i] << "\": "
                                                << counts_[i];
    out << ", \"bytes\": " << bytes_ << ", \"hung\": " << hung_.size() << "}";
    return out.str();
  }
  if (verb == "opened") return std::to_string(opened_[path]);
  if (verb == "release") {
    hang_all_ = false;
    hang_.clear();
    for (Work& work : hung_) late_.emplace(Time(), std::move(work));
    hung_.clear();
    wake_.notify_one();
    return "ok";
  }
  if (verb == "heal") {
    fail_.clear(), short_.clear(), cut_.clear();
    return "ok";
  }
  if (first.empty()) return "error: no argument, or no such command: " + verb;
  if (verb == "hang" && first == "*") {
    hang_all_ = true;
  } else if (verb == "hang") {
    hang_.insert(path);
  } else if (verb == "short") {
    short_.insert(path);
  } else if (verb == "cut") {
    cut_.insert(path);
  } else if (verb == "fail") {
    fail_[Decoded(second)] = std::stoi(first);
  } else if (verb == "delay_us") {
    delay_ = std::chrono::microseconds(std::stoll(first));
  } else if (verb == "meta_delay_us") {
    meta_delay_ = std::chrono::microseconds(std::stoll(first));
  } else if (verb == "bandwidth") {
    bandwidth_ = std::stoull(first);
  } else if (verb == "parallel") {
    lanes_.assign(std::stoull(first), Time());
  } else {
    return "error: no such command: " + verb;
  }
  return "ok";
}

// Names that the kernel knows by number. A number means a path, as on a network without handles.
class Names {
 public:
  std::string Path(fuse_ino_t node) {
    std::lock_guard const lock(mu_);
    std::string path;
    for (; node != FUSE_ROOT_ID; node = names_.at(node).parent) {
      std::string const& name = names_.at(node).name;
      path = path.empty() ? name : name + "/" + path;
    }
    return path.empty() ? "." : path;
  }

  fuse_ino_t Remember(fuse_ino_t parent, const std::string& name) {
    std::lock_guard const lock(mu_);
    auto const [found, fresh] = numbers_.try_emplace({parent, name}, next_);
    if (fresh) names_[next_++] = {parent, name, 0};
    names_[found->second].lookups++;
    return found->second;
  }

  void Forget(fuse_ino_t node, uint64_t lookups) {
    std::lock_guard const lock(mu_);
    auto const found = names_.find(node);
    if (found == names_.end()) return;
    found->second.lookups -= std::min(lookups, found->second.lookups);
    if (found->second.lookups > 0) return;
    numbers_.erase({found->second.parent, found->second.name});
    names_.erase(found);
  }

 private:
  struct Name {
    fuse_ino_t parent;
    std::string name;
    uint64_t lookups;
  };
  std::mutex mu_;
  std::unordered_map<fuse_ino_t, Name> names_;
  std::map<std::pair<fuse_ino_t, std::string>, fuse_ino_t> numbers_;
  fuse_ino_t next_ = FUSE_ROOT_ID + 1;
};

struct Origin {
  int folder = -1;
  Clerk clerk;
  Names names;
};
Origin* origin(fuse_req_t req) { return static_cast<Origin*>(fuse_req_userdata(req)); }

void Lookup(fuse_req_t req, fuse_ino_t parent, const char* name) {
  Origin* const o = origin(req);
  std::string const folder = o->names.Path(parent);
  std::string const path = folder == "." ? name : folder + "/" + name;
  o->clerk.Submit(Kind::kLookup, path, 0, [=, name = std::string(name)] {
    fuse_entry_param entry = {};
    if (fstatat(o->folder, path.c_str(), &entry.attr, AT_SYMLINK_NOFOLLOW) != 0) {
      fuse_reply_err(req, errno);
      return;
    }
    entry.ino = o->names.Remember(parent, name);
    fuse_reply_entry(req, &entry);
  });
}

void Forget(fuse_req_t req, fuse_ino_t node, uint64_t lookups) {
  origin(req)->names.Forget(node, lookups);
  fuse_reply_none(req);
}

void ForgetMany(fuse_req_t req, size_t count, fuse_forget_data* forgets) {
  for (size_t i = 0; i < count; i++) origin(req)->names.Forget(forgets[i].ino, forgets[i].nlookup);
  fuse_reply_none(req);
}

void Getattr(fuse_req_t req, fuse_ino_t node, fuse_file_info*) {
  Origin* const o = origin(req);
  std::string const path = o->names.Path(node);
  o->clerk.Submit(Kind::kGetattr, path, 0, [=] {
    struct stat attr;
    if (fstatat(o->folder, path.c_str(), &attr, AT_SYMLINK_NOFOLLOW) != 0) {
      fuse_reply_err(req, errno);
    } else {
      fuse_reply_attr(req, &attr, 0);
    }
  });
}

void Readlink(fuse_req_t req, fuse_ino_t node) {
  Origin* const o = origin(req);
  std::string const path = o->names.Path(node);
  o->clerk.Submit(Kind::kReadlink, path, 0, [=] {
    char target[4097];
    ssize_t const size = readlinkat(o->folder, path.c_str(), target, sizeof target - 1);
    if (size < 0) {
      fuse_reply_err(req, errno);
    } else {
      target[size] = '\0';
      fuse_reply_readlink(req, target);
    }
  });
}

struct Listing {
  std::vector<std::pair<std::string, struct stat>> entries;
  bool read = false;
};

int Fill(int folder, const std::string& path, Listing* listing) {
  int const fd = openat(folder, path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* const dir = fd < 0 ? nullptr : fdopendir(fd);
  if (dir == nullptr) return errno;
  while (dirent const* entry = readdir(dir)) {
    struct stat attr = {};
    attr.st_ino = entry->d_ino;
    attr.st_mode = DTTOIF(entry->d_type);
    listing->entries.emplace_back(entry->d_name, attr);
  }
  closedir(dir);
  return 0;
}

void Opendir(fuse_req_t req, fuse_ino_t, fuse_file_info* info) {
  info->fh = reinterpret_cast<uintptr_t>(new Listing);
  fuse_reply_open(req, info);
}

void Readdir(fuse_req_t req, fuse_ino_t node, size_t size, off_t offset, fuse_file_info* info) {
  Origin* const o = origin(req);
  std::string const path = o->names.Path(node);
  auto* const listing = reinterpret_cast<Listing*>(static_cast<uintptr_t>(info->fh));
  o->clerk.Submit(Kind::kReaddir, path, 0, [=] {
    int failure = o->clerk.Failure(path);
    if (failure == 0 && (!listing->read || offset == 0)) {
      *listing = Listing{.entries = {}, .read = true};
      failure = Fill(o->folder, path, listing);
    }
    if (failure != 0) {
      fuse_reply_err(req, failure);
      return;
    }
    std::string out(size, '\0');
    size_t used = 0;
    for (size_t i = static_cast<size_t>(offset); i < listing->entries.size(); i++) {
      auto const& [name, attr] = listing->entries[i];
      size_t const took = fuse_add_direntry(req, out.data() + used, size - used, name.c_str(),
                                            &attr, static_cast<off_t>(i + 1));
      if (took > size - used) break;
      used += took;
    }
    fuse_reply_buf(req, out.data(), used);
  });
}

void Releasedir(fuse_req_t req, fuse_ino_t, fuse_file_info* info) {
  delete reinterpret_cast<Listing*>(static_cast<uintptr_t>(info->fh));
  fuse_reply_err(req, 0);
}

void Open(fuse_req_t req, fuse_ino_t node, fuse_file_info* info) {
  Origin* const o = origin(req);
  std::string const path = o->names.Path(node);
  o->clerk.Submit(Kind::kOpen, path, 0, [=, info = *info]() mutable {
    int const failure = o->clerk.Failure(path);
    int const fd = failure != 0 ? -1 : openat(o->folder, path.c_str(),
                                              O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
      fuse_reply_err(req, failure != 0 ? failure : errno);
      return;
    }
    info.fh = static_cast<uint64_t>(fd);
    info.direct_io = 1;
    if (fuse_reply_open(req, &info) != 0) close(fd);
  });
}

void Read(fuse_req_t req, fuse_ino_t node, size_t size, off_t offset, fuse_file_info* info) {
  Origin* const o = origin(req);
  std::string const path = o->names.Path(node);
  int const fd = static_cast<int>(info->fh);
  o->clerk.Submit(Kind::kRead, path, size, [=] {
    struct stat attr = {};
    int const failure = o->clerk.Failure(path);
    if (failure != 0 || fstat(fd, &attr) != 0) {
      fuse_reply_err(req, failure != 0 ? failure : errno);
      return;
    }
    uint64_t const granted = o->clerk.Granted(path, static_cast<uint64_t>(offset), size,
                                              static_cast<uint64_t>(attr.st_size));
    std::unique_ptr<char[]> const bytes(new char[granted + 1]);
    ssize_t const got = pread(fd, bytes.get(), granted, offset);
    if (got < 0) {
      fuse_reply_err(req, errno);
      return;
    }
    o->clerk.CountBytes(static_cast<uint64_t>(got));
    fuse_reply_buf(req, bytes.get(), static_cast<size_t>(got));
  });
}

void Release(fuse_req_t req, fuse_ino_t, fuse_file_info* info) {
  close(static_cast<int>(info->fh));
  fuse_reply_err(req, 0);
}

// Serves one client of the control socket after the other, until the socket is shut down.
void ServeCommands(int listener, Clerk* clerk) {
  while (true) {
    int const client = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) return;
    std::string pending;
    char bytes[4096];
    for (ssize_t got; (got = read(client, bytes, sizeof bytes)) > 0;) {
      pending.append(bytes, static_cast<size_t>(got));
      for (size_t end; (end = pending.find('\n')) != std::string::npos;) {
        std::string const answer = clerk->Command(pending.substr(0, end)) + "\n";
        pending.erase(0, end + 1);
        if (send(client, answer.data(), answer.size(), MSG_NOSIGNAL) < 0) break;
      }
    }
    close(client);
  }
}

int Listen(const char* path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (strlen(path) >= sizeof address.sun_path) return errno = ENAMETOOLONG, -1;
  strcpy(address.sun_path, path);
  int const fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return -1;
  return listen(fd, 16) != 0 ? -1 : fd;
}

fuse_lowlevel_ops Operations() {
  fuse_lowlevel_ops ops = {};
  ops.lookup = Lookup;
  ops.forget = Forget;
  ops.forget_multi = ForgetMany;
  ops.getattr = Getattr;
  ops.readlink = Readlink;
  ops.opendir = Opendir;
  ops.readdir = Readdir;
  ops.releasedir = Releasedir;
  ops.open = Open;
  ops.read = Read;
  ops.release = Release;
  return ops;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: slow_origin FOLDER MOUNT_POINT CONTROL_SOCKET\n");
    return 2;
  }
  int const folder = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int const listener = Listen(argv[3]);
  if (folder < 0 || listener < 0) {
    perror(folder < 0 ? argv[1] : argv[3]);
    return 1;
  }
  sigset_t all, before;  // signals are the main thread's
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  Origin origin;
  origin.folder = folder;
  std::thread commands(ServeCommands, listener, &origin.clerk);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);

  const char* arguments[] = {"slow_origin", "-o", "ro,fsname=slow_origin"};
  fuse_args args = FUSE_ARGS_INIT(3, const_cast<char**>(arguments));
  fuse_lowlevel_ops const ops = Operations();
  fuse_session* const session = fuse_session_new(&args, &ops, sizeof ops, &origin);
  int status = 1;
  if (session != nullptr && fuse_session_mount(session, argv[2]) == 0) {
    fuse_set_signal_handlers(session);
    status = fuse_session_loop(session) < 0 ? 1 : 0;
    fuse_remove_signal_handlers(session);
  }
  shutdown(listener, SHUT_RDWR);
  commands.join();
  origin.clerk.Stop();
  if (session != nullptr) {
    fuse_session_unmount(session);
    fuse_session_destroy(session);
  }
  fuse_opt_free_args(&args);
  close(listener);
  close(folder);
  return status;
}
