#include "tools/sizes.h"

#include <gtest/gtest.h>

namespace stokefs::tools {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(Sizes, UnitsOfThousandAndOf1024AreToldApart) {
  struct Case {
    const char* text;
    uint64_t bytes;
  };
  constexpr uint64_t kKi = 1024;
  for (const Case& c : {Case{"0", 0},
                        {"4096", 4096},
                        {"7B", 7},
                        {"1kB", 1000},
                        {"1KB", 1000},
                        {"500MB", 500'000'000},
                        {"3GB", 3'000'000'000},
                        {"2TB", 2'000'000'000'000},
                        {"1KiB", kKi},
                        {"4MiB", 4 * kKi * kKi},
                        {"4GiB", 4 * kKi * kKi * kKi},
                        {"1.5GiB", 3 * kKi * kKi * kKi / 2},
                        {"0.1kB", 100},
                        {"1TiB", kKi * kKi * kKi * kKi},
                        {"18446744073709551615", UINT64_MAX}}) {
    auto const bytes = ParseSize(c.text);
    ASSERT_TRUE(bytes) << c.text;
    EXPECT_EQ(*bytes, c.bytes) << c.text;
  }
}

TEST(Sizes, WhatIsNoSizeIsNamedInTheError) {
  for (const char* text : {"",
                           " ",
                           "GiB",
                           "-1",
                           "+1",
                           "1.5",
                           "1.",
                           ".5GiB",
                           "1..5GiB",
                           "1gib",
                           "1GIB",
                           "1G",
                           "1M",
                           "4k",
                           "4 096",
                           "0x10",
                           "1e3",
                           "4GiB ",
                           " 4GiB",
                           "4GiBs",
                           "4 GiB",
                           "18446744073709551616",
                           "16777216TiB",
                           "99999999999999999999TB",
                           "nan",
                           "inf",
                           "4\xc2\xa0GiB"}) {
    auto const bytes = ParseSize(text);
    ASSERT_FALSE(bytes) << text;
    EXPECT_EQ(bytes.error().code, std::errc::invalid_argument);
    EXPECT_NE(bytes.error().message.find("\"" + std::string(text) + "\""), std::string::npos);
  }
}

TEST(Sizes, DurationsHaveAUnitButForZero) {
  EXPECT_EQ(ParseDuration("30s").value(), seconds(30));
  EXPECT_EQ(ParseDuration("500ms").value(), milliseconds(500));
  EXPECT_EQ(ParseDuration("2m").value(), seconds(120));
  EXPECT_EQ(ParseDuration("1h").value(), hours(1));
  EXPECT_EQ(ParseDuration("0.5s").value(), milliseconds(500));
  EXPECT_EQ(ParseDuration("0").value(), base::Duration::zero());
  for (const char* text : {"", "30", "s", "-3s", "3 s", "1d", "soon", "9999999999999h"}) {
    auto const limit = ParseDuration(text);
    ASSERT_FALSE(limit) << text;
    EXPECT_NE(limit.error().message.find("\"" + std::string(text) + "\""), std::string::npos);
  }
}

TEST(Sizes, PeopleReadFourDigitsAtMost) {
  EXPECT_EQ(SizeText(0), "0 B");
  EXPECT_EQ(SizeText(1023), "1023 B");
  EXPECT_EQ(SizeText(1536), "1.5 KiB");
  EXPECT_EQ(SizeText(1048575), "1.0 MiB");
  EXPECT_EQ(SizeText(4.0 * (1u << 30)), "4.0 GiB");
}

}  // namespace
}  // namespace stokefs::tools
