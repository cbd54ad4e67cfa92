#include "cache/packed_lister.h"

#include <cerrno>
#include <utility>

namespace stokefs::cache {
namespace {

class PackedFolder final : public OpenedFolder {
 public:
  explicit PackedFolder(FolderListing listing) : listing_(std::move(listing)) {}

  base::Result<OriginStat> Self() override { return listing_.self; }

  base::Status ReadNames(const std::function<void(std::string_view)>& add) override {
    for (size_t i = 0; i < listing_.Count(); ++i) add(listing_.Name(i));
    return {};
  }

  base::Result<StatAnswer> Stat(std::string_view name) const override {
    size_t first = 0, end = listing_.Count();
    while (first < end) {
      size_t const middle = first + (end - first) / 2;
      if (listing_.Name(middle) < name) {
        first = middle + 1;
      } else {
        end = middle;
      }
    }
    if (first == listing_.Count() || listing_.Name(first) != name) {
      return base::FailErrno(ENOENT, "stat " + std::string(name));
    }
    return StatAnswer{.stat = listing_.Stat(first), .target = std::string(listing_.Target(first))};
  }

 private:
  const FolderListing listing_;
};

}  // namespace

base::Result<std::unique_ptr<OpenedFolder>> PackedLister::Open(const std::string& path) {
  auto listing = dataset_->Newest()->ReadFolder(path);
  if (listing) return std::make_unique<PackedFolder>(std::move(*listing));
  base::Error error = std::move(listing.error());
  if (error.code == std::errc::bad_message) error.code = std::errc::io_error;
  return base::Wrap(std::move(error), "packed dataset: " + path);
}

}  // namespace stokefs::cache
