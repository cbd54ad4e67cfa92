#include "fs/control_mount.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace stokefs::fs {
namespace {

// Two, so that one slow rendering does not keep a second question waiting.
constexpr size_t kThreads = 2;
constexpr fuse_ino_t kFirstFile = 2;  // files are numbered in order from here; 1 is the folder
constexpr double kAttributeSeconds = 1;

timespec NowOnTheWall() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return now;
}

// Answers one request exactly once, whoever does it and however late.
class PendingAnswer {
 public:
  PendingAnswer(std::shared_ptr<FuseSession> session, fuse_req_t request, size_t written)
      : session_(std::move(session)), request_(request), written_(written) {}
  ~PendingAnswer() {
    if (request_ != nullptr) Give(EIO);
  }
  PendingAnswer(const PendingAnswer&) = delete;
  PendingAnswer& operator=(const PendingAnswer&) = delete;

  void Give(int error) {
    fuse_req_t const request = std::exchange(request_, nullptr);
    if (error == 0 && written_ > 0) {
      fuse_reply_write(request, written_);
    } else {
      fuse_reply_err(request, error);
    }
  }

 private:
  const std::shared_ptr<FuseSession> session_;
  fuse_req_t request_;  // null: answered
  const size_t written_;
};

}  // namespace

class ControlOperations {
 public:
  static fuse_lowlevel_ops Table() {
    fuse_lowlevel_ops table{};
    table.lookup = Lookup;
    table.getattr = GetAttributes;
    table.readdir = List;
    table.open = Open;
    table.read = Read;
    table.write = Write;
    table.setattr = SetAttributes;
    table.flush = Flush;
    table.release = Release;
    return table;
  }

 private:
  static ControlMount& Of(fuse_req_t request) {
    return *static_cast<ControlMount*>(fuse_req_userdata(request));
  }

  static const ControlFile* FileOf(const ControlMount& mount, fuse_ino_t inode) {
    if (inode < kFirstFile || inode - kFirstFile >= mount.files_.size()) return nullptr;
    return &mount.files_[inode - kFirstFile];
  }

  static struct stat StatOf(const ControlMount& mount, fuse_ino_t inode) {
    struct stat st {};
    st.st_ino = inode;
    const ControlFile* const file = FileOf(mount, inode);
    st.st_mode = file == nullptr ? S_IFDIR | 0555 : S_IFREG | file->permissions;
    st.st_nlink = inode == FUSE_ROOT_ID ? 2 : 1;
    st.st_uid = geteuid();
    st.st_gid = getegid();
    st.st_mtim = st.st_ctim = st.st_atim = mount.mounted_at_;
    return st;  // size 0: unknown until opened; direct I/O reads to the end all the same
  }

  static void Lookup(fuse_req_t request, fuse_ino_t folder, const char* name) {
    ControlMount& mount = Of(request);
    auto const& files = mount.files_;
    auto const found = std::find_if(files.begin(), files.end(),
                                    [name](const ControlFile& file) { return file.name == name; });
    if (folder != FUSE_ROOT_ID || found == files.end()) {
      fuse_reply_err(request, ENOENT);
      return;
    }
    fuse_entry_param entry{};
    entry.ino = kFirstFile + static_cast<fuse_ino_t>(found - files.begin());
    entry.attr = StatOf(mount, entry.ino);
    entry.attr_timeout = kAttributeSeconds;
    entry.entry_timeout = kAttributeSeconds;
    fuse_reply_entry(request, &entry);
  }

  static void GetAttributes(fuse_req_t request, fuse_ino_t inode, fuse_file_info*) {
    ControlMount& mount = Of(request);
    if (inode != FUSE_ROOT_ID && FileOf(mount, inode) == nullptr) {
      fuse_reply_err(request, ENOENT);
      return;
    }
    struct stat const st = StatOf(mount, inode);
    fuse_reply_attr(request, &st, kAttributeSeconds);
  }

  static void List(fuse_req_t request, fuse_ino_t folder, size_t size, off_t offset,
                   fuse_file_info*) {
    ControlMount& mount = Of(request);
    if (folder != FUSE_ROOT_ID) {
      fuse_reply_err(request, ENOTDIR);
      return;
    }
    std::vector<char> buffer(size);
    size_t used = 0;
    auto const count = static_cast<off_t>(mount.files_.size() + 2);
    for (off_t i = offset; i < count; ++i) {
      fuse_ino_t const inode = i < 2 ? FUSE_ROOT_ID : kFirstFile + static_cast<fuse_ino_t>(i - 2);
      const char* const name = i == 0   ? "."
                               : i == 1 ? ".."
                                        : mount.files_[static_cast<size_t>(i - 2)].name.c_str();
      struct stat const st = StatOf(mount, inode);
      size_t const need =
          fuse_add_direntry(request, buffer.data() + used, size - used, name, &st, i + 1);
      if (need > size - used) break;
      used += need;
    }
    fuse_reply_buf(request, buffer.data(), used);
  }

  static void Open(fuse_req_t request, fuse_ino_t inode, fuse_file_info* info) {
    const ControlFile* const file = FileOf(Of(request), inode);
    if (file == nullptr) {
      fuse_reply_err(request, EISDIR);
      return;
    }
    bool const is_conversation = file->converse != nullptr;
    if ((info->flags & O_ACCMODE) != O_RDONLY && !is_conversation) {
      fuse_reply_err(request, EACCES);
      return;
    }
    ControlMount& mount = Of(request);
    ControlMount::Opened opened;
    if (is_conversation) {
      opened.conversation = file->converse();
    } else {
      opened.text = std::make_shared<const std::string>(file->render());
    }
    info->direct_io = 1;
    info->fh = mount.AddOpened(std::move(opened));
    uint64_t const handle = info->fh;
    if (fuse_reply_open(request, info) != 0) mount.RemoveOpened(handle);  // nobody will release it
  }

  static void Read(fuse_req_t request, fuse_ino_t, size_t size, off_t offset,
                   fuse_file_info* info) {
    ControlMount& mount = Of(request);
    ControlMount::Opened const opened = mount.Find(info->fh);
    // Held until the reply has returned: the reader has it, and may have closed, before that.
    ControlMount::Text text = opened.text;
    if (opened.conversation != nullptr && (offset == 0 || text == nullptr)) {
      text = std::make_shared<const std::string>(opened.conversation->Read());
      mount.SetText(info->fh, text);
    }
    if (text == nullptr) {
      fuse_reply_err(request, EBADF);
      return;
    }
    auto const start = std::min(static_cast<size_t>(offset), text->size());
    fuse_reply_buf(request, text->data() + start, std::min(size, text->size() - start));
  }

  static void Write(fuse_req_t request, fuse_ino_t, const char* bytes, size_t size, off_t,
                    fuse_file_info* info) {
    ControlMount& mount = Of(request);
    ControlMount::Opened const opened = mount.Find(info->fh);
    if (opened.conversation == nullptr) {
      fuse_reply_err(request, EBADF);
      return;
    }
    mount.SetWriter(info->fh, info->lock_owner);
    opened.conversation->TakeWrite({bytes, size}, AnswerTo(request, size));
  }

  static ControlAnswer AnswerTo(fuse_req_t request, size_t written) {
    auto pending = std::make_shared<PendingAnswer>(Of(request).session_, request, written);
    return [pending = std::move(pending)](int error) { pending->Give(error); };
  }

  // A shell's "> file" truncates first: there is nothing to truncate, and no harm in it.
  static void SetAttributes(fuse_req_t request, fuse_ino_t inode, struct stat*, int changes,
                            fuse_file_info*) {
    constexpr int kHarmless = FUSE_SET_ATTR_SIZE | FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_MTIME_NOW |
                              FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_ATIME_NOW | FUSE_SET_ATTR_CTIME;
    ControlMount& mount = Of(request);
    const ControlFile* const file = FileOf(mount, inode);
    if (file == nullptr || !file->converse || (changes & ~kHarmless) != 0) {
      fuse_reply_err(request, EPERM);
      return;
    }
    struct stat const st = StatOf(mount, inode);
    fuse_reply_attr(request, &st, kAttributeSeconds);
  }

  // A process that was forked with the handle open closes it too, at its end at the latest; that is
  // none of the writer's business.
  static void Flush(fuse_req_t request, fuse_ino_t, fuse_file_info* info) {
    ControlMount::Opened const opened = Of(request).Find(info->fh);
    bool const is_another_s = opened.writer && *opened.writer != info->lock_owner;
    if (opened.conversation == nullptr || is_another_s) {
      fuse_reply_err(request, 0);
      return;
    }
    opened.conversation->TakeFlush(AnswerTo(request, 0));
  }

  static void Release(fuse_req_t request, fuse_ino_t, fuse_file_info* info) {
    Of(request).RemoveOpened(info->fh);
    fuse_reply_err(request, 0);
  }
};

ControlMount::ControlMount(std::vector<ControlFile> files)
    : files_(std::move(files)), mounted_at_(NowOnTheWall()) {}

// Before the session is let go: an answer that a control thread still holds may be the last to
// share it, and no thread can wait for its own end.
ControlMount::~ControlMount() {
  if (session_ != nullptr) session_->Stop();
}

uint64_t ControlMount::AddOpened(Opened opened) {
  base::MutexLock lock(opened_mu_);
  opened_.emplace(next_handle_, std::move(opened));
  return next_handle_++;
}

ControlMount::Opened ControlMount::Find(uint64_t handle) {
  base::MutexLock lock(opened_mu_);
  auto const found = opened_.find(handle);
  return found == opened_.end() ? Opened{} : found->second;
}

void ControlMount::SetText(uint64_t handle, Text text) {
  base::MutexLock lock(opened_mu_);
  auto const found = opened_.find(handle);
  if (found != opened_.end()) found->second.text = std::move(text);
}

void ControlMount::SetWriter(uint64_t handle, uint64_t writer) {
  base::MutexLock lock(opened_mu_);
  auto const found = opened_.find(handle);
  if (found != opened_.end()) found->second.writer = writer;
}

void ControlMount::RemoveOpened(uint64_t handle) {
  Opened last;  // dies without the lock: a conversation's end may do what it likes
  base::MutexLock lock(opened_mu_);
  auto const found = opened_.find(handle);
  if (found == opened_.end()) return;
  last = std::move(found->second);
  opened_.erase(found);
}

base::Result<std::unique_ptr<ControlMount>> ControlMount::Mount(Options options,
                                                                std::vector<ControlFile> files) {
  std::unique_ptr<ControlMount> mount(new ControlMount(std::move(files)));
  FuseSession::Options session{.name = "control",
                               .mount_point = std::move(options.mount_point),
                               .source_name = std::move(options.source_name),
                               .subtype = "stokefs-control",
                               .options = std::move(options.options),
                               .threads = kThreads};
  session.options.emplace_back("default_permissions");
  auto mounted = FuseSession::Mount(std::move(session), ControlOperations::Table(), mount.get());
  if (!mounted) return base::Wrap(std::move(mounted.error()), "control mount");
  mount->session_ = std::move(*mounted);
  return mount;
}

}  // namespace stokefs::fs
