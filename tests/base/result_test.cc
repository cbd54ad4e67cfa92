#include "base/result.h"

#include <gtest/gtest.h>

#include <memory>

namespace stokefs::base {
namespace {

Result<std::unique_ptr<int>> Half(int x) {
  if (x % 2 != 0) return Fail(std::errc::invalid_argument, "odd");
  return std::make_unique<int>(x / 2);
}

TEST(Result, HoldsAMoveOnlyValueOrAnError) {
  auto four = Half(8);
  ASSERT_TRUE(four);
  EXPECT_EQ(**four, 4);
  auto none = Half(3);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, std::errc::invalid_argument);
}

TEST(Result, ContextGoesInFrontAndKeepsTheCode) {
  Status const failed = Wrap(Half(3).error(), "half of 3");
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().message, "half of 3: odd");
  EXPECT_EQ(failed.error().Errno(), EINVAL);
}

TEST(Result, ErrnoIsNamed) {
  Status const failed = FailErrno(ENOENT, "a/b");
  EXPECT_EQ(failed.error().message, "a/b: No such file or directory");
}

}  // namespace
}  // namespace stokefs::base
