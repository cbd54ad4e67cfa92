#include "cache/page_cache_mode.h"

#include <gtest/gtest.h>

namespace stokefs::cache {
namespace {

TEST(PageCacheMode, AutoDropsOnlyWhatDoesNotFitAndIsReadInUnknownOrder) {
  PageCacheSituation const fits{.dataset_bytes = 10, .memory_budget_bytes = 10, .room_bytes = 10};
  PageCacheSituation beyond_memory = fits;
  beyond_memory.memory_budget_bytes = 9;
  PageCacheSituation beyond_kernel = fits;
  beyond_kernel.room_bytes = 9;
  PageCacheSituation planned = beyond_memory;
  planned.order_known = true;
  EXPECT_FALSE(DropAfterRead(PageCacheMode::kAuto, fits));
  EXPECT_TRUE(DropAfterRead(PageCacheMode::kAuto, beyond_memory));
  EXPECT_TRUE(DropAfterRead(PageCacheMode::kAuto, beyond_kernel));
  EXPECT_FALSE(DropAfterRead(PageCacheMode::kAuto, planned));
}

TEST(PageCacheMode, KeepAndDropDoNotDependOnAnything) {
  PageCacheSituation const beyond{.dataset_bytes = 10};
  EXPECT_FALSE(DropAfterRead(PageCacheMode::kKeep, beyond));
  EXPECT_TRUE(DropAfterRead(PageCacheMode::kDrop, {}));
}

}  // namespace
}  // namespace stokefs::cache
