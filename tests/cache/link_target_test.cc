#include "cache/link_target.h"

#include <gtest/gtest.h>

namespace stokefs::cache {
namespace {

struct Case {
  const char* folder;
  const char* target;
  const char* shown;
  bool leaves;
};

TEST(LinkTarget, IsShownAsTheTableSays) {
  Case const cases[] = {
      // Relative ones stay as they are.
      {"", "a", "a", false},
      {"", ".", ".", false},
      {"", "", "", false},
      {"a/b", "../../c", "../../c", false},
      {"a/b", "../../../c", "../../../c", true},
      {"", "..", "..", true},
      {"a", "b/../../c", "b/../../c", false},
      {"a", "b/../../../c", "b/../../../c", true},
      {"a", ".././c//d", ".././c//d", false},
      // Absolute ones inside become relative to the link.
      {"", "/data/set/x", "x", false},
      {"a/b", "/data/set/x/y", "../../x/y", false},
      {"a", "/data/set", "..", false},
      {"a/b", "/data/set/", "../..", false},
      {"", "/data/set", ".", false},
      {"a", "//data/./set//x", "../x", false},
      {"a", "/data/set/x/../y", "../x/../y", false},
      {"a", "/alias/x", "../x", false},
      // All others lead out.
      {"", "/", "/", true},
      {"", "/data", "/data", true},
      {"", "/data/settle/x", "/data/settle/x", true},
      {"", "/etc/passwd", "/etc/passwd", true},
      {"a", "/data/set/../other", "/data/set/../other", true},
      {"a", "/data/set/x/../../other", "/data/set/x/../../other", true},
  };
  for (Case const& c : cases) {
    ShownLink const link = ShowLink(c.folder, c.target, {"/data/set", "/alias/"});
    EXPECT_EQ(link.text, c.shown) << c.folder << " -> " << c.target;
    EXPECT_EQ(link.leaves, c.leaves) << c.folder << " -> " << c.target;
    ShownLink const again = ShowLink(c.folder, link.text, {"/data/set", "/alias/"});
    EXPECT_EQ(again.text, link.text);
    EXPECT_EQ(again.leaves, link.leaves);
  }
}

TEST(LinkTarget, RewrittenTextThatWouldBeTooLongIsShownAsItIs) {
  std::string folder;
  for (int i = 0; i < 2000; ++i) folder += "d/";
  ShownLink const link = ShowLink(folder, "/s/x", {"/s"});
  EXPECT_EQ(link.text, "/s/x");
  EXPECT_TRUE(link.leaves);
}

}  // namespace
}  // namespace stokefs::cache
