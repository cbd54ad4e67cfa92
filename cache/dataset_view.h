// What the epoch engine must know of the dataset (the catalog answers; a fake in tests).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "cache/catalog.h"
#include "cache/ids.h"
#include "cache/sample_order.h"

namespace stokefs::cache {

class DatasetView {
 public:
  virtual ~DatasetView() = default;
  // Another number whenever samples may be others; 0 while they are not all known.
  virtual uint64_t Version() const = 0;
  // Every sample at or below `folder`; none where there is no such folder. May take seconds.
  virtual void Visit(std::string_view folder,
                     const std::function<void(const CatalogSample&)>& visit) const = 0;
  virtual std::optional<std::string> PathOf(NodeId node) const = 0;  // below SOURCE
  virtual uint64_t SampleCount() const = 0;
  virtual const SampleOrder& order() const = 0;
};

class CatalogView final : public DatasetView {
 public:
  explicit CatalogView(const Catalog& catalog) : catalog_(catalog) {}  // outlives this

  uint64_t Version() const override;
  void Visit(std::string_view folder,
             const std::function<void(const CatalogSample&)>& visit) const override;
  std::optional<std::string> PathOf(NodeId node) const override;
  uint64_t SampleCount() const override { return catalog_.Progress().sample_count; }
  const SampleOrder& order() const override { return catalog_; }

 private:
  const Catalog& catalog_;
};

}  // namespace stokefs::cache
