#include "tools/sizes.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <limits>
#include <optional>
#include <span>

#include "tools/exit_status.h"

namespace stokefs::tools {
namespace {

struct Unit {
  std::string_view name;
  double factor;
};

constexpr Unit kSizeUnits[] = {{"B", 1},
                               {"kB", 1e3},
                               {"KB", 1e3},
                               {"MB", 1e6},
                               {"GB", 1e9},
                               {"TB", 1e12},
                               {"KiB", 1024.0},
                               {"MiB", 1024.0 * 1024},
                               {"GiB", 1024.0 * 1024 * 1024},
                               {"TiB", 1024.0 * 1024 * 1024 * 1024}};
constexpr Unit kDurationUnits[] = {{"ns", 1},  {"us", 1e3}, {"ms", 1e6},
                                   {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};

struct Amount {
  std::string_view number;
  std::string_view unit;
};

// Digits with at most one '.', each side of it at least one digit; then the unit.
std::optional<Amount> Split(std::string_view text) {
  size_t end = 0;
  size_t dots = 0;
  while (end < text.size() && (text[end] == '.' || (text[end] >= '0' && text[end] <= '9')))
    dots += text[end++] == '.';
  std::string_view const number = text.substr(0, end);
  if (number.empty() || dots > 1 || number.front() == '.' || number.back() == '.') return {};
  return Amount{number, text.substr(end)};
}

std::optional<double> FactorOf(std::string_view unit, std::span<const Unit> units) {
  for (const Unit& known : units)
    if (known.name == unit) return known.factor;
  return {};
}

// Whole numbers keep all their bits; only fractions go through a double.
std::optional<uint64_t> Scale(std::string_view number, double factor) {
  if (number.find('.') == std::string_view::npos) {
    uint64_t whole = 0;
    auto const [end, error] = std::from_chars(number.data(), number.data() + number.size(), whole);
    uint64_t product = 0;
    if (error != std::errc{} || end != number.data() + number.size() ||
        __builtin_mul_overflow(whole, static_cast<uint64_t>(factor), &product))
      return {};
    return product;
  }
  double value = 0;
  auto const [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
  if (error != std::errc{} || end != number.data() + number.size()) return {};
  value = std::floor(value * factor);
  if (!(value < 18446744073709551616.0)) return {};
  return static_cast<uint64_t>(value);
}

std::string Quoted(std::string_view text) { return "\"" + std::string(text) + "\""; }

}  // namespace

base::Result<uint64_t> ParseSize(std::string_view text) {
  auto const amount = Split(text);
  std::optional<double> factor;
  if (amount) {
    bool const whole = amount->number.find('.') == std::string_view::npos;
    factor = amount->unit.empty() && whole ? 1.0 : FactorOf(amount->unit, kSizeUnits);
  }
  if (!factor)
    return Refuse(Quoted(text) + " is not a size (a number with B, kB, MB, GB, TB, KiB, MiB, GiB " +
                  "or TiB, as in 4GiB)");
  auto const bytes = Scale(amount->number, *factor);
  if (!bytes) return Refuse(Quoted(text) + " is too large for a size");
  return *bytes;
}

base::Result<base::Duration> ParseDuration(std::string_view text) {
  if (text == "0") return base::Duration::zero();
  auto const amount = Split(text);
  auto const factor = amount ? FactorOf(amount->unit, kDurationUnits) : std::nullopt;
  if (!factor)
    return Refuse(Quoted(text) + " is not a duration (a number with ns, us, ms, s, m or h, as in " +
                  "30s)");
  auto const count = Scale(amount->number, *factor);
  if (!count || *count > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
    return Refuse(Quoted(text) + " is too long for a duration");
  return base::Duration(static_cast<int64_t>(*count));
}

std::string SizeText(double bytes) {
  constexpr std::array kNames = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  size_t unit = 0;
  while (bytes >= 1023.95 && unit + 1 < kNames.size()) {
    bytes /= 1024;
    ++unit;
  }
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), unit == 0 ? "%.0f %s" : "%.1f %s", bytes, kNames[unit]);
  return text.data();
}

}  // namespace stokefs::tools
