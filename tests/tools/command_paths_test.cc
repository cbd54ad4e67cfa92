#include "tools/command_paths.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>

namespace stokefs::tools {
namespace {

using Json = nlohmann::ordered_json;

TEST(CommandPaths, CleanPathsHaveNoDetours) {
  EXPECT_EQ(CleanPath(""), "");
  EXPECT_EQ(CleanPath("/"), "");
  EXPECT_EQ(CleanPath("."), "");
  EXPECT_EQ(CleanPath("a//b/./c/"), "a/b/c");
  EXPECT_EQ(CleanPath("a/../b"), "b");
  EXPECT_EQ(CleanPath("a/b/../../c"), "c");
  EXPECT_EQ(CleanPath("..."), "...");
  EXPECT_FALSE(CleanPath(".."));
  EXPECT_FALSE(CleanPath("a/../../b"));
  EXPECT_FALSE(CleanPath(std::string_view("a\0b", 3)));
}

TEST(CommandPaths, WordsAreBelowTheMountOrInsideIt) {
  auto const below = [](const std::string& word) {
    return PathBelow(word, "/link/to/mnt/", "/data/mnt");
  };
  EXPECT_EQ(below("a/b").value(), "a/b");
  EXPECT_EQ(below("./a").value(), "a");
  EXPECT_EQ(below("/data/mnt/a/b").value(), "a/b");
  EXPECT_EQ(below("/data/mnt").value(), "");
  EXPECT_EQ(below("/data/mnt/").value(), "");
  EXPECT_EQ(below("/link/to/mnt/a").value(), "a");
  for (std::string const word :
       {"/data/mnt2/a", "/data", "/etc/passwd", "../x", "/data/mnt/../x", ""}) {
    EXPECT_EQ(below(word).error().Errno(), EINVAL) << word;
  }
  EXPECT_EQ(PathBelow("/mnt/a", "mnt", "/mnt").value(), "a");
}

TEST(CommandPaths, AnyBytesSurviveTheJson) {
  for (std::string const& path :
       {std::string("a/b"), std::string("ü \" \\ \n"), std::string("\xff\xfe/\x80"),
        std::string("\xed\xa0\x80"), std::string("\xef\xbf\xbd")}) {
    Json const json = PathJson(path);
    EXPECT_EQ(ParsePathJson(Json::parse(json.dump())), path);
  }
  EXPECT_TRUE(PathJson("\xff").is_object());
  for (const char* text :
       {"3", "{}", R"({"hex": "f"})", R"({"hex": "zz"})", R"({"hex": 3})", "null"}) {
    EXPECT_FALSE(ParsePathJson(Json::parse(text))) << text;
  }
}

TEST(CommandPaths, RequestsNamePathsOrNone) {
  EXPECT_TRUE(PathsOf(Json::parse("{}")).value().empty());
  EXPECT_EQ(PathsOf(Json::parse(R"({"paths": ["a/", {"hex": "ff"}]})")).value(),
            (std::vector<std::string>{"a", "\xff"}));
  for (const char* text : {R"({"paths": "a"})", R"({"paths": [3]})", R"({"paths": [".."]})"}) {
    EXPECT_EQ(PathsOf(Json::parse(text)).error().Errno(), EINVAL) << text;
  }
}

}  // namespace
}  // namespace stokefs::tools
