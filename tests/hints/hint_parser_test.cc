#include "hints/hint_parser.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace stokefs::hints {
namespace {

std::string Show(const Hint& hint, uint64_t line) {
  struct Visitor {
    std::string Target(const HintTarget& target) {
      return target.index ? "#" + std::to_string(*target.index) : std::string(target.path);
    }
    std::string operator()(const ImportanceHint& one) {
      return "importance " + Target(one.target) + "=" + std::to_string(one.value);
    }
    std::string operator()(const EpochHint& one) {
      return "epoch " + std::string(one.job) + "=" + std::to_string(one.epoch);
    }
    std::string operator()(const PinHint& one) {
      return (one.kind == PinHint::Kind::kPin ? "pin " : "unpin ") + std::string(one.path);
    }
    std::string operator()(const JobHint& one) {
      return "job " + std::string(one.name) + (one.root ? "@" + std::string(*one.root) : "");
    }
    std::string operator()(const BadHint& one) { return "bad " + std::string(one.reason); }
  };
  return std::to_string(line) + " " + std::visit(Visitor(), hint);
}

std::vector<std::string> TakeAll(HintParser& parser) {
  std::vector<std::string> shown;
  while (auto const hint = parser.Next()) shown.push_back(Show(*hint, parser.Line()));
  return shown;
}

std::vector<std::string> Parse(std::string_view text) {
  HintParser parser;
  parser.Feed(text);
  auto shown = TakeAll(parser);
  parser.End();
  for (auto& last : TakeAll(parser)) shown.push_back(last);
  return shown;
}

std::vector<std::string> ParseInPieces(const std::string& text, size_t piece_max,
                                       std::mt19937& random) {
  HintParser parser;
  std::vector<std::string> shown;
  for (size_t at = 0; at < text.size();) {
    size_t const size = 1 + random() % piece_max;
    std::string const piece = text.substr(at, size);  // dies: nothing may point into it
    parser.Feed(piece);
    for (auto& one : TakeAll(parser)) shown.push_back(one);
    at += size;
  }
  parser.End();
  for (auto& one : TakeAll(parser)) shown.push_back(one);
  return shown;
}

using Shown = std::vector<std::string>;

TEST(HintParser, EachVerbIsAHint) {
  EXPECT_EQ(Parse("importance a/b 0.5\n\n  importance #7 2 \nepoch j 3\npin a/\nunpin .\n"
                  "job j root=a%20b\njob j"),
            (Shown{"1 importance a/b=0.500000", "3 importance #7=2.000000", "4 epoch j=3",
                   "5 pin a", "6 unpin ", "7 job j@a b", "8 job j"}));
}

TEST(HintParser, EscapesStandForAnyByte) {
  EXPECT_EQ(Parse("importance %23a%25%09\xff%fF 1"),
            (Shown{"1 importance #a%\t\xff\xff=1.000000"}));
  EXPECT_EQ(Parse("importance %2 1"),
            (Shown{"1 bad a % that two hex digits do not follow (%25 is a %)"}));
}

TEST(HintParser, JsonLinesHoldImportances) {
  EXPECT_EQ(Parse(R"( {"importance": {"a b": 1, "#3": 2.5e0, "%23": 0}} )"
                  "\n{\"importance\":{}}\npin a\n"),
            (Shown{"1 importance a b=1.000000", "1 importance #3=2.500000",
                   "1 importance #=0.000000", "3 pin a"}));
}

TEST(HintParser, CommasTooManyAreNoJson) {
  for (auto const* line :
       {R"({"importance":{"a":1,}})", R"({"importance":{,"a":1}})",
        R"({"importance":{"a":1,,"b":1}})", R"({"importance":{"a":1}},)",
        R"({"importance":{"a":1})", R"({"importance":{"a":1}}})",
        R"({"importance":{"a":1},"importance":{}})", R"({"importance":{"a":{"b":1,"c":2}}})",
        R"({"a":{"b":1,"c":2}})", R"({"importance":[1,2]})", R"({"importance":{"a":true}})",
        R"({"importance":{"a":1e999}})", "{\"importance\":{\"\xff\":1}}", "{"}) {
    Shown const shown = Parse(line);
    ASSERT_FALSE(shown.empty()) << line;
    EXPECT_EQ(shown.back().substr(0, 5), "1 bad") << line;
    EXPECT_LE(shown.size(), 2u) << line;
  }
}

TEST(HintParser, ValuesAreFiniteAndAtLeastZero) {
  for (auto const* value : {"nan", "inf", "-1", "-inf", "1e39", "1e999", "0x1", "1,5", "+1", ""})
    EXPECT_EQ(Parse(std::string("importance a ") + value).at(0).substr(0, 5), "1 bad") << value;
  EXPECT_EQ(Parse("importance a -0"), (Shown{"1 importance a=0.000000"}));
  EXPECT_EQ(Parse(R"({"importance":{"a":-0.0}})"), (Shown{"1 importance a=0.000000"}));
}

TEST(HintParser, TooLongALineIsBadAndTheNextIsNot) {
  std::string const longest(HintParser::kWordsBytesMax - std::string("importance  1").size(), 'x');
  EXPECT_EQ(Parse("importance " + longest + " 1\n").at(0).substr(0, 12), "1 importance");
  EXPECT_EQ(Parse("importance " + longest + "x 1\npin a").at(0).substr(0, 5), "1 bad");
  EXPECT_EQ(Parse("importance " + longest + "x 1\npin a").at(1), "2 pin a");
  std::string const member = "\"" + std::string(HintParser::kWordsBytesMax, 'x') + "\":1";
  EXPECT_EQ(Parse("{\"importance\":{\"a\":1," + member + ",\"b\":1}}\npin a"),
            (Shown{"1 importance a=1.000000", "1 bad JSON: a member is too long", "2 pin a"}));
}

TEST(HintParser, DropBeginsALineUnlessABadOneGoesOn) {
  HintParser parser;
  parser.Feed("bad\npin a\nhalf");
  ASSERT_TRUE(parser.Next());
  parser.Drop();
  parser.Feed("pin b\n");
  EXPECT_EQ(TakeAll(parser), (Shown{"2 pin b"}));
  parser.Feed("{\"x\":{\"a\":1,");
  ASSERT_TRUE(parser.Next());
  parser.Drop();
  parser.Feed("\"b\":2}}\npin c\n");
  EXPECT_EQ(TakeAll(parser), (Shown{"4 pin c"}));
}

TEST(HintParser, AnySplitOfAnyBytesGivesTheSame) {
  std::vector<std::string> const words = {"importance ",
                                          "#12",
                                          "a/b",
                                          " ",
                                          "1",
                                          "0.5",
                                          "\n",
                                          "\n",
                                          "\n",
                                          "{\"importance\":{",
                                          "\"a\":1",
                                          "\"",
                                          ",",
                                          ":",
                                          "}",
                                          "{",
                                          "[",
                                          "]",
                                          "\\",
                                          "\"b\\\"\":2,",
                                          "%41",
                                          "%",
                                          "\t",
                                          "pin ",
                                          "job ",
                                          "j ",
                                          "root=",
                                          "epoch ",
                                          "nan",
                                          std::string(1, '\0'),
                                          "\xff",
                                          "}}\n",
                                          "null",
                                          "-",
                                          "e9",
                                          "{\"importance\":{\"a\":1,\"b\":2}}\n",
                                          std::string(9000, 'y')};
  for (uint32_t seed = 1; seed <= 3000; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    std::string text;
    size_t const count = 1 + random() % 40;
    for (size_t i = 0; i < count; ++i) {
      text += random() % 10 == 0 ? std::string(1, static_cast<char>(random()))
                                 : words[random() % words.size()];
    }
    Shown const whole = Parse(text);
    ASSERT_EQ(ParseInPieces(text, 1, random), whole);
    ASSERT_EQ(ParseInPieces(text, 20, random), whole);
    ASSERT_EQ(ParseInPieces(text, 5000, random), whole);
  }
}

TEST(HintParser, LongJsonLinesComeOutWhole) {
  std::string text = "{\"importance\":{";
  for (int i = 0; i < 50000; ++i) text += "\"path/" + std::to_string(i) + "\": 0.5, ";
  text += "\"last\": 1}}\n";
  Shown const whole = Parse(text);
  ASSERT_EQ(whole.size(), 50001u);
  EXPECT_EQ(whole.back(), "1 importance last=1.000000");
  std::mt19937 random(1);
  EXPECT_EQ(ParseInPieces(text, 200000, random), whole);
}

}  // namespace
}  // namespace stokefs::hints
