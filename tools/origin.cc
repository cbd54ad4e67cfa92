#include "tools/origin.h"

#include <fcntl.h>

#include <cerrno>
#include <utility>

#include "cache/directory_lister.h"
#include "cache/origin_directory.h"
#include "cache/packed_lister.h"
#include "cache/packed_origin.h"
#include "tools/exit_status.h"
#include "tools/sizes.h"
#include "tools/source_name.h"

namespace stokefs::tools {
namespace {

base::Result<base::UniqueFd> Duplicate(const base::UniqueFd& fd) {
  base::UniqueFd copy(fcntl(fd.Get(), F_DUPFD_CLOEXEC, 3));
  if (!copy.Valid()) return base::FailErrno(errno, "duplicate the source's descriptor");
  return copy;
}

base::Result<Origin> OpenDirectory(const MountConfig& config, const base::UniqueFd& source) {
  auto for_lister = Duplicate(source);
  auto for_source = Duplicate(source);
  if (!for_lister) return Pass(for_lister.error());
  if (!for_source) return Pass(for_source.error());
  auto lister = cache::DirectoryLister::Make(*std::move(for_lister));
  if (!lister) return Pass(lister.error());
  // Shared only because a std::function must be copyable.
  auto const folder = std::make_shared<base::UniqueFd>(*std::move(for_source));
  cache::OriginDirectory::Options const options{.extent_bytes = config.large_file_bytes,
                                                .threads = config.origin_threads,
                                                .queue_count_max = config.origin_queue};
  return Origin{.lister = *std::move(lister),
                .source_paths = {config.source},
                .identity = "",
                .make_source = [=](cache::OriginLocator& locator, const base::Clock& clock) {
                  return std::make_unique<cache::OriginDirectory>(options, std::move(*folder),
                                                                  locator, clock);
                }};
}

base::Result<std::shared_ptr<cache::PackedDataset>> OpenDataset(const base::UniqueFd& source) {
  auto folder = Duplicate(source);
  if (!folder) return Pass(folder.error());
  auto dataset = cache::PackedDataset::Open(*std::move(folder));
  if (!dataset) return Pass(dataset.error());
  return std::shared_ptr<cache::PackedDataset>(*std::move(dataset));
}

base::Result<Origin> OpenPacked(const MountConfig& config, const base::UniqueFd& source) {
  auto const dataset = OpenDataset(source);
  if (!dataset) return Pass(dataset.error());
  cache::PackedOrigin::Options const options{.threads = config.origin_threads,
                                             .queue_count_max = config.origin_queue};
  return Origin{.lister = std::make_unique<cache::PackedLister>(*dataset),
                .source_paths = {},  // links into the source were made relative by the pack
                .identity = config.source + " " + (*dataset)->Known()->manifest().Digest(),
                .make_source = [options, packed = *dataset](cache::OriginLocator& locator,
                                                            const base::Clock& clock) {
                  return std::make_unique<cache::PackedOrigin>(options, packed, locator, clock);
                }};
}

}  // namespace

base::Result<Origin> OpenOrigin(const MountConfig& config, const base::UniqueFd& source) {
  bool const is_packed = SourceName::Parse(config.source).kind == SourceKind::kPacked;
  return is_packed ? OpenPacked(config, source) : OpenDirectory(config, source);
}

base::Status AdoptLayout(MountConfig& config, const base::UniqueFd& source) {
  SourceName const name = SourceName::Parse(config.source);
  if (name.kind != SourceKind::kPacked) return {};
  auto const dataset = OpenDataset(source);
  if (!dataset) {
    const base::Error& error = dataset.error();
    if (error.code == std::errc::no_such_file_or_directory) {
      return Refuse("source " + name.path + " is no packed dataset: it has no manifest");
    }
    if (error.code == std::errc::protocol_not_supported) {
      return Refuse("packed dataset " + name.path + " is of another version: " + error.message);
    }
    return base::Wrap(error, "packed dataset " + name.path);
  }
  cache::PackedManifest const& manifest = (*dataset)->Known()->manifest();
  config.chunk_bytes = manifest.layout.chunk_bytes;
  config.chunk_samples = manifest.layout.chunk_samples;
  config.large_file_bytes = manifest.extent_bytes;
  if (config.large_file_bytes <= config.memory) return {};
  return Refuse("memory: an extent of the packed dataset, " +
                SizeText(static_cast<double>(config.large_file_bytes)) + ", does not fit in " +
                SizeText(static_cast<double>(config.memory)));
}

}  // namespace stokefs::tools
