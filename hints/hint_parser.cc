#include "hints/hint_parser.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

namespace stokefs::hints {
namespace {

// Of a JSON line that is looked at a time: small enough to stay in a core's cache.
constexpr size_t kSliceBytes = 65536;
constexpr size_t kJobNameBytesMax = 255;
constexpr float kFloatMax = std::numeric_limits<float>::max();

bool IsBlank(char c) { return c == ' ' || c == '\t'; }
bool IsControl(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

template <typename Number>
std::optional<Number> ParseNumber(std::string_view word) {
  Number number{};
  auto const [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  if (error != std::errc() || end != word.data() + word.size()) return std::nullopt;
  return number;
}

// The words of a line; `count` says how many there are, even if more than are kept.
struct Words {
  std::array<std::string_view, 4> at;
  size_t count = 0;
};

Words Split(std::string_view line) {
  Words words;
  size_t i = 0;
  while (true) {
    while (i < line.size() && IsBlank(line[i])) ++i;
    if (i == line.size()) return words;
    size_t const begin = i;
    while (i < line.size() && !IsBlank(line[i])) ++i;
    if (words.count < words.at.size()) words.at[words.count] = line.substr(begin, i - begin);
    ++words.count;
  }
}

enum class Bare : uint8_t { kNeither, kBlanksAndControls };  // what may stand as it is

bool UnescapeWord(std::string_view word, Bare bare, std::string& path, std::string& reason) {
  path.clear();
  for (size_t i = 0; i < word.size(); ++i) {
    char const c = word[i];
    if (c == '%') {
      int const high = i + 1 < word.size() ? HexDigit(word[i + 1]) : -1;
      int const low = i + 2 < word.size() ? HexDigit(word[i + 2]) : -1;
      if (high < 0 || low < 0) {
        reason = "a % that two hex digits do not follow (%25 is a %)";
        return false;
      }
      path += static_cast<char>(high * 16 + low);
      i += 2;
    } else if (bare == Bare::kNeither && (IsControl(c) || IsBlank(c))) {
      reason = "a control byte in a word (written %XX)";
      return false;
    } else {
      path += c;
    }
  }
  return true;
}

std::optional<HintTarget> ParseTarget(std::string_view word, Bare bare, std::string& path,
                                      std::string& reason) {
  if (word.starts_with('#')) {
    auto const index = ParseNumber<uint64_t>(word.substr(1));
    if (!index) {
      reason = "a # that no index follows (%23 is a #)";
      return std::nullopt;
    }
    return HintTarget{.path = {}, .index = index};
  }
  if (!UnescapeWord(word, bare, path, reason)) return std::nullopt;
  return HintTarget{.path = path, .index = {}};
}

// What is wrong with an importance; null: nothing.
const char* ValueFault(double value) {
  if (!std::isfinite(value)) return "an importance that is not finite";
  if (value < 0) return "an importance below 0";
  if (value > double{kFloatMax}) return "an importance above 3.4e38";
  return nullptr;
}

// -0 too becomes 0.
float ValueOf(double value) { return value == 0 ? 0.0F : static_cast<float>(value); }

Hint ParseImportance(const Words& words, std::string& path, std::string& reason) {
  if (words.count != 3) return BadHint{"not \"importance PATH VALUE\""};
  auto const target = ParseTarget(words.at[1], Bare::kNeither, path, reason);
  if (!target) return BadHint{reason};
  auto const value = ParseNumber<double>(words.at[2]);
  if (!value) return BadHint{"an importance that is no number"};
  if (const char* const fault = ValueFault(*value)) return BadHint{fault};
  return ImportanceHint{*target, ValueOf(*value)};
}

const char* JobNameFault(std::string_view name) {
  if (name.empty() || name.size() > kJobNameBytesMax) return "a job's name has 1 to 255 bytes";
  if (std::any_of(name.begin(), name.end(), IsControl)) return "a control byte in a job's name";
  return nullptr;
}

Hint ParseEpoch(const Words& words) {
  if (words.count != 3) return BadHint{"not \"epoch JOB N\""};
  if (const char* const fault = JobNameFault(words.at[1])) return BadHint{fault};
  auto const epoch = ParseNumber<uint64_t>(words.at[2]);
  if (!epoch) return BadHint{"an epoch that is no whole number"};
  return EpochHint{words.at[1], *epoch};
}

// A folder or a file; "." is MNT.
bool ParsePlace(std::string_view word, std::string& path, std::string& reason) {
  if (word.starts_with('#')) {
    reason = "a path cannot begin with # (%23 is a #)";
    return false;
  }
  if (!UnescapeWord(word, Bare::kNeither, path, reason)) return false;
  if (path == ".") path.clear();
  if (path.ends_with('/')) path.pop_back();
  return true;
}

Hint ParsePin(const Words& words, PinHint::Kind kind, std::string& path, std::string& reason) {
  if (words.count != 2) return BadHint{"not \"pin PATH\" or \"unpin PATH\""};
  if (!ParsePlace(words.at[1], path, reason)) return BadHint{reason};
  return PinHint{kind, path};
}

Hint ParseJob(const Words& words, std::string& path, std::string& reason) {
  constexpr std::string_view kRoot = "root=";
  bool const has_root = words.count == 3 && words.at[2].starts_with(kRoot);
  if (words.count != 2 && !has_root) return BadHint{"not \"job NAME root=DIR\""};
  if (const char* const fault = JobNameFault(words.at[1])) return BadHint{fault};
  if (!has_root) return JobHint{words.at[1], std::nullopt};
  if (!ParsePlace(words.at[2].substr(kRoot.size()), path, reason)) return BadHint{reason};
  return JobHint{words.at[1], path};
}

}  // namespace

bool Unescape(std::string_view word, std::string& path, std::string& reason) {
  return UnescapeWord(word, Bare::kNeither, path, reason);
}

std::optional<HintTarget> ParseJsonKey(std::string_view key, std::string& path,
                                       std::string& reason) {
  return ParseTarget(key, Bare::kBlanksAndControls, path, reason);
}

std::optional<Hint> ParsePlainLine(std::string_view line, std::string& path, std::string& reason) {
  Words const words = Split(line);
  if (words.count == 0) return std::nullopt;
  std::string_view const verb = words.at[0];
  if (verb == "importance") return ParseImportance(words, path, reason);
  if (verb == "epoch") return ParseEpoch(words);
  if (verb == "pin") return ParsePin(words, PinHint::Kind::kPin, path, reason);
  if (verb == "unpin") return ParsePin(words, PinHint::Kind::kUnpin, path, reason);
  if (verb == "job") return ParseJob(words, path, reason);
  return BadHint{"no hint begins like this"};
}

std::optional<Hint> HintParser::Next() {
  while (true) {
    switch (state_) {
      case State::kLineStart: {
        while (!input_.empty() && IsBlank(input_.front())) input_.remove_prefix(1);
        if (input_.empty()) {
          ending_ = false;
          return std::nullopt;
        }
        ++line_;
        if (input_.front() == '\n') {
          input_.remove_prefix(1);
        } else if (input_.front() == '{') {
          state_ = State::kJson;
          json_.Begin();
        } else {
          state_ = State::kPlain;
        }
        break;
      }
      case State::kSkip: {
        size_t const end = input_.find('\n');
        bool const is_whole = end != input_.npos || ending_;
        input_.remove_prefix(end == input_.npos ? input_.size() : end + 1);
        if (!is_whole) return std::nullopt;
        EndLine();
        break;
      }
      case State::kPlain:
      case State::kJson: {
        auto hint = state_ == State::kPlain ? TakePlain() : TakeJson();
        if (hint) return hint;
        if (state_ != State::kLineStart) return std::nullopt;  // the rest is to come
        break;
      }
    }
  }
}

// The rest of the line that was begun; none, and the state as it was, when it is not whole.
std::optional<Hint> HintParser::TakePlain() {
  size_t const end = std::min(input_.find('\n'), input_.size());
  bool const is_whole = end < input_.size() || ending_;
  if (held_.size() + end > kWordsBytesMax) {
    return Bad("a line is longer than " + std::to_string(kWordsBytesMax) + " bytes");
  }
  if (!is_whole) {
    held_ += input_;
    input_ = {};
    return std::nullopt;
  }
  spent_.clear();
  spent_.swap(held_);
  if (!spent_.empty()) spent_ += input_.substr(0, end);
  auto hint = ParsePlainLine(spent_.empty() ? input_.substr(0, end) : spent_, path_, reason_);
  input_.remove_prefix(std::min(end + 1, input_.size()));
  EndLine();
  return hint;
}

std::optional<Hint> HintParser::TakeJson() {
  while (true) {
    if (auto const member = json_.Take()) {
      auto const target = ParseJsonKey(member->key, path_, reason_);
      if (!target) return Bad(reason_);
      if (const char* const fault = ValueFault(member->value)) return Bad(fault);
      return ImportanceHint{*target, ValueOf(member->value)};
    }
    if (!json_.Error().empty()) return Bad("JSON: " + json_.Error());
    if (line_ended_) {
      EndLine();
      return std::nullopt;
    }
    size_t const end = std::min(input_.find('\n'), input_.size());
    if (end > 0) {
      size_t const size = std::min(end, kSliceBytes);
      json_.Add(input_.substr(0, size));
      input_.remove_prefix(size);
    } else if (!input_.empty() || ending_) {
      json_.End();
      line_ended_ = true;
      input_.remove_prefix(std::min<size_t>(1, input_.size()));
    } else {
      return std::nullopt;
    }
  }
}

Hint HintParser::Bad(std::string reason) {
  reason_ = std::move(reason);
  // A line whose break was taken with its last member has no rest.
  bool const has_rest = !line_ended_;
  EndLine();
  if (has_rest) state_ = State::kSkip;
  return BadHint{reason_};
}

void HintParser::EndLine() {
  state_ = State::kLineStart;
  line_ended_ = false;
  held_.clear();
}

void HintParser::Drop() {
  bool const goes_on = state_ == State::kSkip && input_.find('\n') == input_.npos && !ending_;
  input_ = {};
  ending_ = false;
  if (!goes_on) EndLine();
}

}  // namespace stokefs::hints
