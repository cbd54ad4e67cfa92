// The parser of hints: any bytes, cut anywhere, give what the whole text gives. The first byte says
// how the rest is cut.
#include <cmath>
#include <string>
#include <vector>

#include "base/check.h"
#include "hints/hint_parser.h"

using namespace stokefs::hints;

namespace {

// What one hint says, apart from the parser whose words it has.
std::string Say(const Hint& hint, uint64_t line) {
  std::string said = std::to_string(line) + " " + std::to_string(hint.index()) + " ";
  if (auto const* one = std::get_if<ImportanceHint>(&hint)) {
    said += one->target.path;
    if (one->target.index) said += "#" + std::to_string(*one->target.index);
    STOKEFS_CHECK(std::isfinite(one->value) && one->value >= 0);
    said += "=" + std::to_string(one->value);
  } else if (auto const* epoch = std::get_if<EpochHint>(&hint)) {
    said += std::string(epoch->job) + "=" + std::to_string(epoch->epoch);
  } else if (auto const* pin = std::get_if<PinHint>(&hint)) {
    said += pin->path;
  } else if (auto const* job = std::get_if<JobHint>(&hint)) {
    said += job->name;
    if (job->root) said += "@" + std::string(*job->root);
  } else {
    said += std::get<BadHint>(hint).reason;
  }
  return said;
}

std::vector<std::string> Parse(const std::string& text, size_t step) {
  HintParser parser;
  std::vector<std::string> said;
  auto const take = [&] {
    while (auto const hint = parser.Next()) said.push_back(Say(*hint, parser.Line()));
  };
  for (size_t at = 0; at < text.size(); at += step) {
    std::string const piece = text.substr(at, step);
    parser.Feed(piece);
    take();
  }
  parser.End();
  take();
  return said;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::string const text(reinterpret_cast<const char*>(data) + 1, size - 1);
  STOKEFS_CHECK(Parse(text, 1 + data[0] % 64) == Parse(text, text.size() + 1));
  return 0;
}
