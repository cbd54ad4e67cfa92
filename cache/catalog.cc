#include "cache/catalog.h"

#include <array>
#include <cerrno>
#include <utility>

#include "cache/catalog_impl.h"

namespace stokefs::cache {
namespace {

// Entries copied out of the table at a time, so that no visitor runs under its lock. A readdirplus
// reply holds about 25 to 30.
constexpr size_t kVisitCount = 32;

tl::unexpected<base::Error> Errno(int error) { return base::FailErrno(error, "catalog"); }

base::Result<OriginStat> StatRoot(FolderLister& lister) {
  auto root = lister.Open("");
  if (!root) return tl::unexpected<base::Error>(std::move(root.error()));
  return (*root)->Self();
}

}  // namespace

base::Result<std::unique_ptr<Catalog>> Catalog::Open(Options options,
                                                     std::unique_ptr<FolderLister> lister,
                                                     base::Journal& journal,
                                                     const base::Clock& clock) {
  auto const root = StatRoot(*lister);
  if (!root) return base::Wrap(root.error(), "source");
  if (root->type != FileType::kFolder) return base::FailErrno(ENOTDIR, "source");
  auto impl = std::make_unique<Impl>(std::move(options), std::move(lister), *root, journal, clock);
  impl->OpenKept();
  return std::unique_ptr<Catalog>(new Catalog(std::move(impl)));
}

Catalog::Catalog(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Catalog::~Catalog() = default;

void Catalog::Start(ChangeListener* listener) { impl_->Start(listener); }
bool Catalog::Stop(std::chrono::milliseconds limit) { return impl_->Stop(limit); }

void Catalog::Refresh(RefreshDone done) { impl_->Refresh(std::move(done)); }
RefreshProgress Catalog::Refreshing() const { return impl_->Refreshing(); }

base::Result<Catalog::KeptReport> Catalog::VerifyKept() { return impl_->VerifyKept(); }

bool Catalog::EnsureListed(NodeId folder, std::function<void(base::Status)> done) {
  return impl_->EnsureListed(folder, std::move(done));
}

base::Result<FileAttributes> Catalog::Lookup(NodeId folder, std::string_view name) const {
  base::ReaderLock lock(impl_->table_mu());
  NodeTable const& table = impl_->table();
  if (!table.IsKnown(folder)) return Errno(ENOENT);
  if (!table.IsFolder(folder)) return Errno(ENOTDIR);
  if (!table.IsListed(folder)) return Errno(EAGAIN);
  NodeId const node = table.Find(folder, name);
  if (node == kNoNode) return Errno(ENOENT);
  return table.Attributes(node);
}

base::Status Catalog::List(NodeId folder, NodeId after,
                           const std::function<bool(const CatalogEntry&)>& visit) const {
  std::array<CatalogEntry, kVisitCount> entries;
  // Names are never moved or freed: views of them outlive the lock.
  std::string_view last;
  for (bool first = after == kNoNode;; first = false) {
    size_t count = 0;
    {
      base::ReaderLock lock(impl_->table_mu());
      NodeTable const& table = impl_->table();
      if (!table.IsKnown(folder)) return Errno(ENOENT);
      if (!table.IsFolder(folder)) return Errno(ENOTDIR);
      if (!table.IsListed(folder)) return Errno(EAGAIN);
      if (!first && last.empty()) {
        if (!table.IsKnown(after) || after == kRootNode) return Errno(EINVAL);
        last = table.Name(after);
      }
      auto const& children = table.Children(folder);
      for (size_t i = first ? 0 : table.IndexAfter(folder, last);
           i < children.size() && count < kVisitCount; ++i, ++count) {
        NodeId const child{children[i]};
        entries[count] = {.name = table.Name(child), .attributes = table.Attributes(child)};
      }
    }
    for (size_t i = 0; i < count; ++i) {
      if (!visit(entries[i])) return {};
    }
    if (count < kVisitCount) return {};
    last = entries[count - 1].name;
  }
}

base::Result<FileAttributes> Catalog::Attributes(NodeId node) const {
  base::ReaderLock lock(impl_->table_mu());
  if (!impl_->table().IsKnown(node)) return Errno(ENOENT);
  return impl_->table().Attributes(node);
}

base::Result<NodeId> Catalog::Parent(NodeId node) const {
  base::ReaderLock lock(impl_->table_mu());
  if (!impl_->table().IsKnown(node)) return Errno(ENOENT);
  return impl_->table().Parent(node);
}

base::Result<std::string> Catalog::LinkTarget(NodeId node) const {
  base::ReaderLock lock(impl_->table_mu());
  if (!impl_->table().IsKnown(node)) return Errno(ENOENT);
  if (impl_->table().Type(node) != FileType::kSymlink) return Errno(EINVAL);
  return std::string(impl_->table().Target(node));
}

base::Result<uint64_t> Catalog::FileSize(NodeId node) const {
  base::ReaderLock lock(impl_->table_mu());
  NodeTable const& table = impl_->table();
  if (!table.IsKnown(node)) return Errno(ENOENT);
  if (table.IsFolder(node)) return Errno(EISDIR);
  if (table.Type(node) != FileType::kRegular) return Errno(EINVAL);
  return table.Version(node).size_bytes;
}

base::Result<OriginFile> Catalog::LocateAtOrigin(NodeId node) const {
  base::ReaderLock lock(impl_->table_mu());
  NodeTable const& table = impl_->table();
  if (!table.IsKnown(node)) return Errno(ENOENT);
  if (table.Type(node) != FileType::kRegular) return Errno(EINVAL);
  return OriginFile{.path = table.Path(node), .version = table.Version(node)};
}

std::vector<OrderedSample> Catalog::SamplesAfter(NodeId node, size_t count_max) const {
  base::ReaderLock lock(impl_->table_mu());
  if (!impl_->table().IsKnown(node)) return {};
  return impl_->table().SamplesAfter(node, count_max);
}

void Catalog::OnStale(NodeId node) { impl_->OnStale(node); }
CatalogProgress Catalog::Progress() const { return impl_->Progress(); }
uint64_t Catalog::ChangeCount() const {
  base::ReaderLock lock(impl_->table_mu());
  return impl_->table().ChangeCount();
}
std::optional<LayoutSummary> Catalog::Summary() const { return impl_->Summary(); }

}  // namespace stokefs::cache
