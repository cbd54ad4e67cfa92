// A catalog over a SourceTree as a mount would use it, with the waiting done for the test.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/journal.h"
#include "cache/catalog.h"
#include "cache/directory_lister.h"
#include "tests/support/fake_clock.h"
#include "tests/support/faulty_lister.h"
#include "tests/support/source_tree.h"

namespace stokefs::testing {

// Polls because what it waits for has no signal; fails the test after a minute.
template <typename Condition>
void Await(const Condition& condition) {
  auto const end = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (!condition()) {
    ASSERT_LT(std::chrono::steady_clock::now(), end) << "waited in vain";
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

class CatalogMount {
 public:
  explicit CatalogMount(const SourceTree& source, cache::Catalog::Options options = {}) {
    options.source_paths.insert(options.source_paths.begin(), source.path());
    auto real = cache::DirectoryLister::Make(source.Open());
    STOKEFS_CHECK(real.has_value());
    auto opened = cache::Catalog::Open(
        options, std::make_unique<FaultyLister>(std::move(*real), faults), *journal, clock);
    STOKEFS_CHECK(opened.has_value());
    catalog = std::move(*opened);
  }
  ~CatalogMount() { faults.ReleaseAll(); }

  cache::Catalog* operator->() { return catalog.get(); }

  void StartAndComplete(cache::ChangeListener* listener = nullptr) {
    catalog->Start(listener);
    AwaitComplete();
  }
  void AwaitComplete() {
    Await([&] {
      auto const progress = catalog->Progress();
      return progress.state == cache::CatalogState::kComplete && !progress.rescanning;
    });
  }
  int EnsureListed(cache::NodeId folder) {
    std::promise<int> error;
    catalog->EnsureListed(
        folder, [&](base::Status status) { error.set_value(status ? 0 : status.error().Errno()); });
    return error.get_future().get();
  }
  // Walks `path`, listing folders on demand; kNoNode when some part is missing.
  cache::NodeId Find(const std::string& path) {
    cache::NodeId at = cache::kRootNode;
    for (auto const& part : std::filesystem::path(path)) {
      if (EnsureListed(at) != 0) return cache::kNoNode;
      auto const found = catalog->Lookup(at, part.string());
      if (!found) return cache::kNoNode;
      at = found->node;
    }
    return at;
  }
  std::vector<std::string> Names(cache::NodeId folder, cache::NodeId after = cache::kNoNode) {
    std::vector<std::string> names;
    EXPECT_EQ(EnsureListed(folder), 0);
    auto const listed = catalog->List(folder, after, [&](const cache::CatalogEntry& entry) {
      names.emplace_back(entry.name);
      return true;
    });
    EXPECT_TRUE(listed.has_value());
    return names;
  }
  bool JournalHas(const std::string& text) { return journal->Lines().find(text) != text.npos; }

  ListerFaults faults;
  FakeClock clock;
  std::unique_ptr<base::Journal> journal = base::Journal::Discard();
  std::unique_ptr<cache::Catalog> catalog;  // last: uses the above
};

}  // namespace stokefs::testing
