#include "fs/dataset_mount.h"

#include <signal.h>
#include <sys/statvfs.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/file.h"
#include "fs/attributes.h"

namespace stokefs::fs {
namespace {

using cache::FileAttributes;
using cache::NodeId;

enum class ListingKind : uint8_t { kNames, kNamesAndAttributes };

// Directory offsets: 1 and 2 stand behind "." and "..", node + 2 behind that node's entry. An
// offset names an entry, not a place, so it stays right when the folder changes between two calls.
constexpr off_t kAfterDot = 1;
constexpr off_t kAfterDotDot = 2;
off_t OffsetAfter(NodeId node) { return off_t{node.value} + kAfterDotDot; }

// One READ on its way through the read path, until it is answered. The mutex keeps the answer,
// which frees the request, from running beside the registration of the interrupt.
class KernelRead {
 public:
  KernelRead(fuse_req_t request, NodeId node, ReadsInFlight& in_flight)
      : request_(request), node_(node), in_flight_(in_flight) {
    in_flight_.Begin(node_);
  }

  void Answer(const base::Result<cache::ReadReply>& reply) {
    {
      base::MutexLock lock(mu_);
      answered_ = true;
    }
    if (reply) {
      ReplyBytes(*reply);
    } else {
      fuse_reply_err(request_, reply.error().Errno());
    }
    in_flight_.End(node_);
  }

  void OnParked(cache::ReadTicket ticket, fuse_interrupt_func_t on_interrupt) {
    base::MutexLock lock(mu_);
    if (answered_) return;
    // The ticket travels in the pointer: nothing of ours has to outlive the request.
    fuse_req_interrupt_func(request_, on_interrupt, reinterpret_cast<void*>(ticket.value));
  }

 private:
  void ReplyBytes(const cache::ReadReply& reply) {
    // A READ is at most 1 MiB and extents are at least 64 KiB: never more pieces than this.
    std::array<iovec, 18> pieces;
    size_t count = 0;
    if (reply.spans.size() > pieces.size()) {  // a short answer would be read as zeros
      fuse_reply_err(request_, EIO);
      return;
    }
    for (std::span<const std::byte> span : reply.spans) {
      pieces[count++] = {.iov_base = const_cast<std::byte*>(span.data()), .iov_len = span.size()};
    }
    fuse_reply_iov(request_, pieces.data(), static_cast<int>(count));
  }

  const fuse_req_t request_;
  const NodeId node_;
  ReadsInFlight& in_flight_;
  base::Mutex mu_;
  bool answered_ GUARDED_BY(mu_) = false;
};

// A read of a local file is not interrupted by a signal that its reader handles, so only one that
// ends the reader gives its read up: the kernel then has SIGKILL pending for the thread. A thread
// that cannot be looked at (it is gone, or of another pid namespace) counts as killed.
bool IsBeingKilled(uint32_t thread_id) {
  base::Result<std::string> const status =
      base::ReadFile("/proc/" + std::to_string(thread_id) + "/status");
  if (!status) return true;
  constexpr uint64_t kKill = uint64_t{1} << (SIGKILL - 1);
  for (const char* field : {"\nSigPnd:", "\nShdPnd:"}) {
    size_t const at = status->find(field);
    if (at == std::string::npos) continue;
    if ((std::strtoull(status->c_str() + at + 8, nullptr, 16) & kKill) != 0) return true;
  }
  return false;
}

void ReplyEntry(fuse_req_t request, const FileAttributes& attributes) {
  fuse_entry_param const entry = EntryOf(attributes);
  fuse_reply_entry(request, &entry);
}

// The kernel remembers that the name is absent, too: listings are whole, and what appears later is
// announced.
void ReplyAbsent(fuse_req_t request) {
  fuse_entry_param entry{};
  entry.entry_timeout = kForEver;
  fuse_reply_entry(request, &entry);
}

// Adds directory entries to a reply until it is full.
class ListingBuffer {
 public:
  ListingBuffer(fuse_req_t request, ListingKind kind, size_t size)
      : request_(request), kind_(kind), bytes_(size) {}

  bool Add(const char* name, const fuse_entry_param& entry, off_t offset_after) {
    char* const at = bytes_.data() + used_;
    size_t const left = bytes_.size() - used_;
    size_t const need =
        kind_ == ListingKind::kNamesAndAttributes
            ? fuse_add_direntry_plus(request_, at, left, name, &entry, offset_after)
            : fuse_add_direntry(request_, at, left, name, &entry.attr, offset_after);
    if (need > left) return false;
    used_ += need;
    return true;
  }
  void Reply() { fuse_reply_buf(request_, bytes_.data(), used_); }

 private:
  const fuse_req_t request_;
  const ListingKind kind_;
  std::vector<char> bytes_;
  size_t used_ = 0;
};

}  // namespace

// The FUSE operations, by name. Static: libfuse calls them with the mount as userdata.
class DatasetOperations {
 public:
  static fuse_lowlevel_ops Table() {
    fuse_lowlevel_ops table{};
    table.init = Init;
    table.lookup = Lookup;
    table.forget = [](fuse_req_t request, fuse_ino_t, uint64_t) { fuse_reply_none(request); };
    table.forget_multi = [](fuse_req_t request, size_t, fuse_forget_data*) {
      fuse_reply_none(request);
    };
    table.getattr = GetAttributes;
    table.readlink = ReadLink;
    table.readdir = [](fuse_req_t request, fuse_ino_t folder, size_t size, off_t offset,
                       fuse_file_info*) {
      List(request, folder, size, offset, ListingKind::kNames);
    };
    table.readdirplus = [](fuse_req_t request, fuse_ino_t folder, size_t size, off_t offset,
                           fuse_file_info*) {
      List(request, folder, size, offset, ListingKind::kNamesAndAttributes);
    };
    // ENOSYS: the kernel stops asking, keeps the page cache and caches listings.
    table.open = [](fuse_req_t request, fuse_ino_t, fuse_file_info*) {
      fuse_reply_err(request, ENOSYS);
    };
    table.opendir = table.open;
    table.flush = table.open;
    table.read = Read;
    table.statfs = StatFs;
    return table;
  }

 private:
  static DatasetMount& Of(fuse_req_t request) {
    return *static_cast<DatasetMount*>(fuse_req_userdata(request));
  }

  static void Init(void*, fuse_conn_info* connection) {
    unsigned const wanted = FUSE_CAP_ASYNC_READ | FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_READDIRPLUS |
                            FUSE_CAP_NO_OPEN_SUPPORT | FUSE_CAP_NO_OPENDIR_SUPPORT |
                            FUSE_CAP_CACHE_SYMLINKS | FUSE_CAP_EXPLICIT_INVAL_DATA;
    connection->want = wanted & connection->capable;
    connection->max_background = DatasetMount::kBackgroundCountMax;
    connection->congestion_threshold = DatasetMount::kBackgroundCountMax * 3 / 4;
  }

  static void Lookup(fuse_req_t request, fuse_ino_t folder, const char* name) {
    DatasetMount& mount = Of(request);
    if (folder == FUSE_ROOT_ID && std::strcmp(name, kControlLinkName) == 0) {
      fuse_entry_param entry{};
      entry.ino = kControlLink;
      entry.attr = StatOfControlLink(mount.options_.control_link.size());
      entry.attr_timeout = kForEver;
      entry.entry_timeout = kForEver;
      fuse_reply_entry(request, &entry);
      return;
    }
    // The kernel asks for names of up to 1,024 bytes; on no origin they are longer than this.
    if (std::strlen(name) > NAME_MAX) {
      fuse_reply_err(request, ENAMETOOLONG);
      return;
    }
    if (AnswerLookup(request, mount, NodeOf(folder), name)) return;
    mount.catalog_.EnsureListed(
        NodeOf(folder), [request, &mount, folder, name = std::string(name)](base::Status listed) {
          if (!listed) {
            fuse_reply_err(request, listed.error().Errno());
          } else if (!AnswerLookup(request, mount, NodeOf(folder), name.c_str())) {
            fuse_reply_err(request, EIO);
          }
        });
  }

  // False when the folder is not listed yet.
  static bool AnswerLookup(fuse_req_t request, DatasetMount& mount, NodeId folder,
                           const char* name) {
    base::Result<FileAttributes> const found = mount.catalog_.Lookup(folder, name);
    if (found) {
      ReplyEntry(request, *found);
    } else if (found.error().Errno() == EAGAIN) {
      return false;
    } else if (found.error().Errno() == ENOENT) {
      ReplyAbsent(request);
    } else {
      fuse_reply_err(request, found.error().Errno());
    }
    return true;
  }

  static void GetAttributes(fuse_req_t request, fuse_ino_t inode, fuse_file_info*) {
    DatasetMount& mount = Of(request);
    struct stat st {};
    if (inode == kControlLink) {
      st = StatOfControlLink(mount.options_.control_link.size());
    } else {
      base::Result<FileAttributes> const found = mount.catalog_.Attributes(NodeOf(inode));
      if (!found) {
        fuse_reply_err(request, found.error().Errno());
        return;
      }
      st = StatOf(*found);
    }
    fuse_reply_attr(request, &st, kForEver);
  }

  static void ReadLink(fuse_req_t request, fuse_ino_t inode) {
    DatasetMount& mount = Of(request);
    if (inode == kControlLink) {
      fuse_reply_readlink(request, mount.options_.control_link.c_str());
      return;
    }
    base::Result<std::string> const target = mount.catalog_.LinkTarget(NodeOf(inode));
    if (target) {
      fuse_reply_readlink(request, target->c_str());
    } else {
      fuse_reply_err(request, target.error().Errno());
    }
  }

  static void List(fuse_req_t request, fuse_ino_t folder, size_t size, off_t offset,
                   ListingKind kind) {
    DatasetMount& mount = Of(request);
    mount.catalog_.EnsureListed(
        NodeOf(folder), [request, &mount, folder, size, offset, kind](base::Status listed) {
          if (listed) listed = AnswerList(request, mount, NodeOf(folder), {size, offset, kind});
          if (!listed) fuse_reply_err(request, listed.error().Errno());
        });
  }

  struct ListingRange {
    size_t size;
    off_t offset;
    ListingKind kind;
  };

  static base::Status AnswerList(fuse_req_t request, DatasetMount& mount, NodeId folder,
                                 ListingRange range) {
    base::Result<FileAttributes> const self = mount.catalog_.Attributes(folder);
    if (!self) return base::Wrap(self.error(), "list");
    ListingBuffer buffer(request, range.kind, range.size);
    // "." and ".." carry no node id: the kernel must not count a look-up for them.
    fuse_entry_param dot{};
    dot.attr = StatOf(*self);
    if (range.offset < kAfterDot) buffer.Add(".", dot, kAfterDot);
    if (range.offset < kAfterDotDot) {
      base::Result<NodeId> const parent = mount.catalog_.Parent(folder);
      base::Result<FileAttributes> const above =
          parent ? mount.catalog_.Attributes(*parent) : base::Result<FileAttributes>(*self);
      if (above) dot.attr = StatOf(*above);
      buffer.Add("..", dot, kAfterDotDot);
    }
    NodeId const after = range.offset > kAfterDotDot
                             ? NodeOf(static_cast<fuse_ino_t>(range.offset - kAfterDotDot))
                             : cache::kNoNode;
    std::string name;  // with a NUL behind it
    base::Status listed = mount.catalog_.List(folder, after, [&](const cache::CatalogEntry& entry) {
      name = entry.name;
      return buffer.Add(name.c_str(), EntryOf(entry.attributes),
                        OffsetAfter(entry.attributes.node));
    });
    if (!listed) return listed;
    buffer.Reply();
    return {};
  }

  static void Read(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset,
                   fuse_file_info*) {
    DatasetMount& mount = Of(request);
    NodeId const node = NodeOf(inode);
    auto const pending = std::make_shared<KernelRead>(request, node, mount.reads_in_flight_);
    auto const thread_id = static_cast<uint32_t>(fuse_req_ctx(request)->pid);
    cache::ReadTicket const ticket = mount.read_path_.Read(
        {.node = node,
         .offset = static_cast<uint64_t>(offset),
         .size_bytes = static_cast<uint32_t>(size),
         .reader = {thread_id}},
        [pending](const base::Result<cache::ReadReply>& reply) { pending->Answer(reply); });
    if (ticket.value != 0) pending->OnParked(ticket, OnInterrupt);
  }

  // libfuse holds the request's lock here: the read is given up by the next Tick.
  static void OnInterrupt(fuse_req_t request, void* ticket) {
    DatasetMount& mount = Of(request);
    base::MutexLock lock(mount.interrupted_mu_);
    auto const thread_id = static_cast<uint32_t>(fuse_req_ctx(request)->pid);
    mount.interrupted_.push_back(
        {.ticket = {.value = reinterpret_cast<uint64_t>(ticket)}, .thread_id = thread_id});
  }

  static void StatFs(fuse_req_t request, fuse_ino_t) {
    cache::CatalogProgress const progress = Of(request).catalog_.Progress();
    struct statvfs st {};
    st.f_bsize = 4096;
    st.f_frsize = 4096;
    st.f_blocks = (progress.sample_bytes + 4095) / 4096;
    st.f_files = progress.sample_count;
    st.f_namemax = 255;
    st.f_flag = ST_RDONLY;
    fuse_reply_statfs(request, &st);
  }
};

DatasetMount::DatasetMount(Options options, cache::Catalog& catalog, cache::ReadPath& read_path,
                           ReadsInFlight& reads_in_flight)
    : options_(std::move(options)),
      catalog_(catalog),
      read_path_(read_path),
      reads_in_flight_(reads_in_flight) {}

DatasetMount::~DatasetMount() = default;

base::Result<std::unique_ptr<DatasetMount>> DatasetMount::Mount(Options options,
                                                                cache::Catalog& catalog,
                                                                cache::ReadPath& read_path,
                                                                ReadsInFlight& reads_in_flight) {
  std::unique_ptr<DatasetMount> mount(
      new DatasetMount(std::move(options), catalog, read_path, reads_in_flight));
  FuseSession::Options session{.name = "fuse",
                               .mount_point = mount->options_.mount_point,
                               .source_name = mount->options_.source_name,
                               .options = mount->options_.options,
                               .threads = mount->options_.threads};
  // Read-only for the kernel, too: on a writable mount each READ that comes here would invalidate
  // the access time, and the next stat would ask again.
  session.options.insert(session.options.end(), {"ro", "default_permissions"});
  auto mounted = FuseSession::Mount(std::move(session), DatasetOperations::Table(), mount.get());
  if (!mounted) return base::Wrap(std::move(mounted.error()), "dataset mount");
  mount->session_ = std::move(*mounted);
  return mount;
}

void DatasetMount::Tick() {
  std::vector<InterruptedRead> interrupted;
  {
    base::MutexLock lock(interrupted_mu_);
    if (interrupted_.empty()) return;
    interrupted.swap(interrupted_);
  }
  std::erase_if(interrupted, [this](const InterruptedRead& read) {
    if (!read_path_.IsParked(read.ticket)) return true;
    if (!IsBeingKilled(read.thread_id)) return false;
    read_path_.Cancel(read.ticket);
    return true;
  });
  base::MutexLock lock(interrupted_mu_);
  interrupted_.insert(interrupted_.end(), interrupted.begin(), interrupted.end());
}

}  // namespace stokefs::fs
