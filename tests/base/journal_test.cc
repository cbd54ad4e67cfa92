#include "base/journal.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "tests/support/temp_dir.h"

namespace stokefs::base {
namespace {

TEST(Journal, KeepsTheLastLinesOldestFirst) {
  testing::TempDir dir;
  auto journal = Journal::Open({.log_path = dir / "log", .kept_count_max = 2});
  ASSERT_TRUE(journal);
  for (const char* text : {"one", "two", "three"}) (*journal)->Info(text);
  std::string const lines = (*journal)->Lines();
  EXPECT_EQ(lines.find("one"), std::string::npos);
  EXPECT_LT(lines.find("info two\n"), lines.find("info three\n"));
  EXPECT_NE(ReadFile(dir / "log").value().find("info one\n"), std::string::npos);
}

TEST(Journal, AMessageIsOneLine) {
  auto journal = Journal::Discard();
  journal->Warning("bad name \"a\nb\"");
  EXPECT_NE(journal->Lines().find("warning bad name \"a b\"\n"), std::string::npos);
}

TEST(Journal, DebugGoesToTheLogAlone) {
  auto journal = Journal::Discard();
  journal->Debug("noise");
  EXPECT_EQ(journal->Lines(), "");
}

TEST(Journal, AnImpossibleLogIsAnError) {
  EXPECT_FALSE(Journal::Open({.log_path = "/proc/nowhere/log"}));
}

}  // namespace
}  // namespace stokefs::base
