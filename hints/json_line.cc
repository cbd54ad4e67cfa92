#include "hints/json_line.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

namespace stokefs::hints {
namespace {

using Json = nlohmann::json;

// Around a cut: a member of ours stands where the comma wants a neighbour, so that a comma too many
// is an error as it is in the uncut line.
constexpr std::string_view kBefore = R"({"importance":{"":0,)";
constexpr std::string_view kBehind = R"("":0}})";

}  // namespace

// Takes the two objects and the numbers; anything else is an error.
class JsonLine::Handler final : public Json::json_sax_t {
 public:
  explicit Handler(JsonLine& line) : line_(line) {}

  bool null() override { return Refuse("a value is no number"); }
  bool boolean(bool) override { return null(); }
  bool string(std::string&) override { return null(); }
  bool binary(Json::binary_t&) override { return null(); }
  bool start_array(size_t) override { return null(); }
  bool end_array() override { return null(); }
  bool number_integer(int64_t value) override { return Number(static_cast<double>(value)); }
  bool number_unsigned(uint64_t value) override { return Number(static_cast<double>(value)); }
  bool number_float(double value, const std::string&) override { return Number(value); }
  bool start_object(size_t) override { return ++depth_ <= 2 ? true : null(); }
  bool end_object() override {
    if (--depth_ == 0 && !seen_) return Refuse("the object has no \"importance\"");
    return true;
  }
  bool key(std::string& name) override {
    if (depth_ == 2) {
      line_.keys_ += name;
      return true;
    }
    if (name != "importance" || std::exchange(seen_, true)) {
      return Refuse("the object has another key than one \"importance\"");
    }
    return true;
  }
  bool parse_error(size_t, const std::string&, const Json::exception&) override {
    return Refuse("no JSON");
  }

 private:
  bool Refuse(const char* reason) {
    line_.error_ = reason;
    return false;
  }
  bool Number(double value) {
    if (depth_ != 2) return Refuse("\"importance\" is no object");
    line_.members_.push_back({line_.keys_.size(), value});
    return true;
  }

  JsonLine& line_;
  int depth_ = 0;
  bool seen_ = false;
};

void JsonLine::Begin() {
  cursor_ = {};
  is_first_ = true;
  held_.clear();
  keys_.clear();
  members_.clear();
  taken_ = 0;
  error_.clear();
}

// Looks through `bytes`, which follow held_.
JsonLine::Cut JsonLine::FindCut(std::string_view bytes) {
  Cut cut;
  size_t before = held_.size();  // of the member, in held_
  for (size_t i = 0; i < bytes.size(); ++i) {
    char const c = bytes[i];
    if (cursor_.in_string) {
      if (cursor_.after_backslash) {
        cursor_.after_backslash = false;
      } else if (c == '\\') {
        cursor_.after_backslash = true;
      } else if (c == '"') {
        cursor_.in_string = false;
      }
    } else if (c == '"') {
      cursor_.in_string = true;
    } else if (c == '{' || c == '[') {
      ++cursor_.depth;
    } else if (c == '}' || c == ']') {
      if (--cursor_.depth < 2) cursor_.left_members = true;
    } else if (c == ',' && cursor_.depth == 2 && !cursor_.left_members) {
      cut.is_too_long = before + i - cut.bytes > member_bytes_max_;
      if (cut.is_too_long) return cut;
      cut.bytes = i + 1;
      before = 0;
    }
  }
  cut.is_too_long = before + bytes.size() - cut.bytes > member_bytes_max_;
  return cut;
}

void JsonLine::Add(std::string_view bytes) {
  if (!error_.empty()) return;
  Cut const cut = FindCut(bytes);
  if (cut.bytes > 0) {
    held_ += bytes.substr(0, cut.bytes);
    Parse(held_, Piece::kInner);
    held_.clear();
  }
  if (error_.empty() && cut.is_too_long) error_ = "a member is too long";
  if (error_.empty()) held_ += bytes.substr(cut.bytes);
}

void JsonLine::End() {
  if (error_.empty()) Parse(held_, Piece::kLast);
  held_.clear();
}

void JsonLine::Parse(std::string_view bytes, Piece piece) {
  bool const was_first = std::exchange(is_first_, false);
  text_.clear();
  if (!was_first) text_ += kBefore;
  text_ += bytes;
  if (piece == Piece::kInner) text_ += kBehind;
  keys_.clear();
  members_.clear();
  taken_ = was_first ? 0 : 1;  // without ours
  Handler handler(*this);
  bool const is_sound = Json::sax_parse(text_, &handler);
  if (is_sound && piece == Piece::kInner) members_.pop_back();
}

std::optional<JsonLine::Member> JsonLine::Take() {
  if (taken_ >= members_.size()) return std::nullopt;
  size_t const begin = taken_ == 0 ? 0 : members_[taken_ - 1].key_end;
  Parsed const& member = members_[taken_++];
  return Member{std::string_view(keys_).substr(begin, member.key_end - begin), member.value};
}

}  // namespace stokefs::hints
