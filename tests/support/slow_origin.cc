// A test's origin: shows a folder read-only over FUSE, and is slow or broken as it is told.
//
//   slow_origin FOLDER MOUNT_POINT CONTROL_SOCKET        (stays in the foreground)
//
// Nothing is cached by the kernel (timeouts 0, direct I/O) unless it is told so, and every request
// of the program under test arrives and is counted. Interrupts are ignored, as a hard NFS mount
// does. CONTROL_SOCKET is a unix stream socket; one command a line (origin_clerk.h lists them), one
// line of answer.
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

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "tests/support/origin_clerk.h"

namespace {

using stokefs::support::OriginClerk;
using stokefs::support::RequestKind;

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
  OriginClerk clerk;
  Names names;

  double KeptSeconds() const { return clerk.MayBeCached() ? 3600 : 0; }
};
Origin* origin(fuse_req_t req) { return static_cast<Origin*>(fuse_req_userdata(req)); }

void Lookup(fuse_req_t req, fuse_ino_t parent, const char* name) {
  Origin* const o = origin(req);
  std::string const folder = o->names.Path(parent);
  std::string const path = folder == "." ? name : folder + "/" + name;
  o->clerk.Submit(RequestKind::kLookup, path, {}, [=, name = std::string(name)] {
    fuse_entry_param entry = {};
    int const absence = o->clerk.Absence();
    if (absence != 0 || fstatat(o->folder, path.c_str(), &entry.attr, AT_SYMLINK_NOFOLLOW) != 0) {
      fuse_reply_err(req, absence != 0 ? absence : errno);
      return;
    }
    entry.ino = o->names.Remember(parent, name);
    entry.attr_timeout = entry.entry_timeout = o->KeptSeconds();
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
  o->clerk.Submit(RequestKind::kGetattr, path, {}, [=] {
    struct stat attr;
    int const absence = o->clerk.Absence();
    if (absence != 0 || fstatat(o->folder, path.c_str(), &attr, AT_SYMLINK_NOFOLLOW) != 0) {
      fuse_reply_err(req, absence != 0 ? absence : errno);
    } else {
      fuse_reply_attr(req, &attr, o->KeptSeconds());
    }
  });
}

void Readlink(fuse_req_t req, fuse_ino_t node) {
  Origin* const o = origin(req);
  std::string const path = o->names.Path(node);
  o->clerk.Submit(RequestKind::kReadlink, path, {}, [=] {
    char target[4097];
    int const absence = o->clerk.Absence();
    ssize_t const size =
        absence != 0 ? -1 : readlinkat(o->folder, path.c_str(), target, sizeof target - 1);
    if (size < 0) {
      fuse_reply_err(req, absence != 0 ? absence : errno);
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
  o->clerk.Submit(RequestKind::kReaddir, path, {}, [=] {
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
  o->clerk.Submit(RequestKind::kOpen, path, {}, [=, info = *info]() mutable {
    int const failure = o->clerk.Failure(path);
    int const fd =
        failure != 0 ? -1 : openat(o->folder, path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
      fuse_reply_err(req, failure != 0 ? failure : errno);
      return;
    }
    info.fh = static_cast<uint64_t>(fd);
    info.direct_io = !o->clerk.MayBeCached();
    info.keep_cache = o->clerk.MayBeCached();
    if (fuse_reply_open(req, &info) != 0) close(fd);
  });
}

void Read(fuse_req_t req, fuse_ino_t node, size_t size, off_t offset, fuse_file_info* info) {
  Origin* const o = origin(req);
  std::string const path = o->names.Path(node);
  int const fd = static_cast<int>(info->fh);
  OriginClerk::ReadRange const range{static_cast<uint64_t>(offset), size};
  o->clerk.Submit(RequestKind::kRead, path, range, [=] {
    struct stat attr = {};
    int const failure = o->clerk.Failure(path);
    if (failure != 0 || fstat(fd, &attr) != 0) {
      fuse_reply_err(req, failure != 0 ? failure : errno);
      return;
    }
    uint64_t const granted = o->clerk.Granted(path, range, static_cast<uint64_t>(attr.st_size));
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
void ServeCommands(int listener, OriginClerk* clerk) {
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
