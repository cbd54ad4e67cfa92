#include "tools/sim_options.h"

#include <algorithm>
#include <charconv>
#include <cstdio>

#include "tools/exit_status.h"
#include "tools/sim_epochs.h"

namespace stokefs::tools {
namespace {

std::vector<std::string> Split(const std::string& text) {
  std::vector<std::string> words;
  size_t first = 0;
  for (;;) {
    size_t const comma = text.find(',', first);
    words.push_back(text.substr(first, comma - first));
    if (comma == std::string::npos) return words;
    first = comma + 1;
  }
}

template <typename T>
bool Parse(const std::string& text, T& value) {
  auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size();
}

std::string NumberText(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.12g", value);
  return text;
}

tl::unexpected<base::Error> OutOfRange(std::string_view flag, const std::string& text,
                                       SimRange range, const char* what) {
  return Refuse("--" + std::string(flag) + ": \"" + text + "\" is not a " + what + " from " +
                NumberText(range.min) + " to " + NumberText(range.max));
}

}  // namespace

base::Result<uint64_t> ParseSimCount(std::string_view flag, const std::string& text,
                                     SimRange range) {
  uint64_t value = 0;
  if (!Parse(text, value) || static_cast<double>(value) < range.min ||
      static_cast<double>(value) > range.max)
    return OutOfRange(flag, text, range, "whole number");
  return value;
}

base::Result<double> ParseSimNumber(std::string_view flag, const std::string& text,
                                    SimRange range) {
  double value = 0;
  if (!Parse(text, value) || !(value >= range.min && value <= range.max))
    return OutOfRange(flag, text, range, "number");
  return value;
}

base::Result<std::vector<double>> ParseSimMemory(const std::string& text) {
  std::vector<double> memory;
  for (const std::string& word : Split(text)) {
    double value = 0;
    if (!Parse(word, value) || !(value > 0 && value <= 1))
      return Refuse("--memory: \"" + word + "\" is not a fraction above 0, at most 1");
    memory.push_back(value);
  }
  return memory;
}

base::Result<std::vector<std::string>> ParseSimPolicies(const std::string& text) {
  const auto& known = SimPolicyNames();
  if (text == "all") return known;
  std::vector<std::string> policies;
  for (const std::string& word : Split(text)) {
    if (std::find(known.begin(), known.end(), word) == known.end())
      return Refuse("--policy: there is no \"" + word + "\"");
    if (std::find(policies.begin(), policies.end(), word) == policies.end())
      policies.push_back(word);
  }
  return policies;
}

}  // namespace stokefs::tools
