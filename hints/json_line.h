// A line of importances as one JSON object, taken in pieces.
//
//   {"importance": {KEY: NUMBER, KEY: NUMBER, ...}}
//
// The line may be of any length: at commas between members it is cut, and each cut is parsed as a
// whole object by nlohmann's SAX parser, which alone says what is JSON. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace stokefs::hints {

class JsonLine {
 public:
  struct Member {
    std::string_view key;  // until the next Take
    double value = 0;      // finite
  };

  // `member_bytes_max`: the longest text between two commas.
  explicit JsonLine(size_t member_bytes_max) : member_bytes_max_(member_bytes_max) {}

  void Begin();
  // More of the line. Members that were made of it must all be taken before more is added.
  void Add(std::string_view bytes);
  // The line is whole.
  void End();

  std::optional<Member> Take();
  // What is wrong, once all members before it are taken; empty: nothing.
  const std::string& Error() const { return error_; }

 private:
  struct Cursor {  // just enough of JSON to find commas
    bool in_string = false, after_backslash = false, left_members = false;
    int depth = 0;
  };
  class Handler;
  struct Parsed {
    size_t key_end = 0;  // in keys_
    double value = 0;
  };

  struct Cut {
    size_t bytes = 0;          // up to and with the last comma between members; 0: there is none
    bool is_too_long = false;  // the member behind them
  };
  enum class Piece : uint8_t { kInner, kLast };

  Cut FindCut(std::string_view bytes);
  void Parse(std::string_view bytes, Piece piece);

  const size_t member_bytes_max_;
  Cursor cursor_;
  bool is_first_ = true;
  std::string held_;  // behind the last comma
  std::string text_;  // what is parsed
  std::string keys_;  // of members_, one behind the other
  std::vector<Parsed> members_;
  size_t taken_ = 0;
  std::string error_;
};

}  // namespace stokefs::hints
