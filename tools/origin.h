// The ways to a dataset: a plain folder, or a packed one. The only place that tells them apart.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/file.h"
#include "base/result.h"
#include "cache/folder_lister.h"
#include "cache/origin_locator.h"
#include "cache/origin_source.h"
#include "tools/config.h"

namespace stokefs::tools {

// What a catalog and a read path need of SOURCE.
struct Origin {
  std::unique_ptr<cache::FolderLister> lister;
  std::vector<std::string> source_paths;  // these two are Catalog::Options'
  std::string identity;
  // Called once, when the catalog is there: it says where nodes are.
  std::function<std::unique_ptr<cache::OriginSource>(cache::OriginLocator&, const base::Clock&)>
      make_source;
};

// `source` is SOURCE's folder, opened; it is duplicated.
base::Result<Origin> OpenOrigin(const MountConfig& config, const base::UniqueFd& source);

// A packed dataset was laid out when it was packed: that takes the place of what was asked for.
// Refused: a folder that is none, or of another version.
base::Status AdoptLayout(MountConfig& config, const base::UniqueFd& source);

}  // namespace stokefs::tools
