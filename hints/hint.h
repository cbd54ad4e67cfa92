// What a training job may tell a mount, one by one. docs/HINTS.md has the grammar.
//
// Views are valid until the parser that gave them is asked for the next one.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>

namespace stokefs::hints {

// A file below MNT by its path (unescaped), or by its place in ImageFolder's order.
struct HintTarget {
  std::string_view path;
  std::optional<uint64_t> index;  // then path is empty

  bool operator==(const HintTarget&) const = default;
};

struct ImportanceHint {
  HintTarget target;
  float value = 0;  // finite, at least 0; only how values compare matters

  bool operator==(const ImportanceHint&) const = default;
};

struct EpochHint {
  std::string_view job;
  uint64_t epoch = 0;

  bool operator==(const EpochHint&) const = default;
};

struct PinHint {
  enum class Kind : uint8_t { kPin, kUnpin };
  Kind kind = Kind::kPin;
  std::string_view path;  // "": all of MNT

  bool operator==(const PinHint&) const = default;
};

struct JobHint {
  std::string_view name;
  std::optional<std::string_view> root;  // none: a job that is known is chosen

  bool operator==(const JobHint&) const = default;
};

struct BadHint {
  std::string_view reason;  // one line of printable ASCII

  bool operator==(const BadHint&) const = default;
};

using Hint = std::variant<ImportanceHint, EpochHint, PinHint, JobHint, BadHint>;

}  // namespace stokefs::hints
