#include "tools/trace_text.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "tools/exit_status.h"

namespace stokefs::tools {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kVersion = 1;
constexpr size_t kReadsALine = 1000;
constexpr uint64_t kSampleCountMax = std::numeric_limits<uint32_t>::max() - 1;

// A bit a sample, four to a digit, the first sample's the highest bit of the first digit.
std::string HexOf(const std::vector<bool>& bits) {
  std::string hex;
  for (size_t i = 0; i < bits.size(); i += 4) {
    unsigned digit = 0;
    for (size_t j = i; j < i + 4; ++j) digit = digit << 1 | (j < bits.size() && bits[j] ? 1u : 0u);
    hex += "0123456789abcdef"[digit];
  }
  return hex;
}

std::optional<std::vector<bool>> BitsOf(const std::string& hex, size_t count) {
  if (hex.size() != (count + 3) / 4) return std::nullopt;
  std::vector<bool> bits(count);
  for (size_t i = 0; i < count; ++i) {
    unsigned digit = 0;
    const char* const at = hex.data() + i / 4;
    if (std::from_chars(at, at + 1, digit, 16).ptr != at + 1) return std::nullopt;
    bits[i] = (digit >> (3 - i % 4) & 1) != 0;
  }
  return bits;
}

Json EpochJson(const TracedEpoch& epoch) {
  Json tiers = Json::array();
  for (TracedTier const& tier : epoch.by_tier)
    tiers.push_back(Json::array({tier.read_count, tier.waited_s}));
  return {{"index", epoch.index},
          {"progress", epoch.progress},
          {"seconds", epoch.seconds},
          {"thought_s", epoch.thought_s},
          {"tiers", tiers}};
}

void AppendNumber(std::string& text, uint64_t number) {
  char digits[24];
  text.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
}

void AppendChunks(std::string& text, const RecordedTrace& recorded) {
  cache::DatasetShape const& shape = *recorded.shape;
  const std::vector<float>& weights = recorded.trace.weights;
  for (uint32_t chunk = 0; chunk < shape.chunk_count(); ++chunk) {
    text += "chunk";
    for (uint32_t i = shape.FirstOf({chunk}); i < shape.EndOf({chunk}); ++i) {
      text += ' ';
      AppendNumber(text, shape.SizeOf({i}));
      if (weights.empty()) continue;
      char digits[32];
      text += '*';
      text.append(digits, std::to_chars(digits, digits + sizeof digits, weights[i]).ptr);
    }
    text += '\n';
  }
}

void AppendReads(std::string& text, const Trace& trace) {
  std::optional<cache::JobIndex> job;
  auto const switch_to = [&](cache::JobIndex to) {
    if (job == to) return;
    job = to;
    text += ' ';
    AppendNumber(text, to.value);
    text += ':';
  };
  size_t epoch = 0;
  for (size_t at = 0; at < trace.samples.size(); ++at) {
    if (at % kReadsALine == 0) text += at == 0 ? "reads" : "\nreads";
    for (; epoch < trace.epochs.size() && trace.epochs[epoch].position <= at; ++epoch) {
      switch_to(trace.epochs[epoch].job);
      text += " +";
    }
    switch_to(trace.JobAt(at));
    text += ' ';
    AppendNumber(text, trace.samples[at]);
  }
  if (!trace.samples.empty()) text += '\n';
}

// Reads the text line by line, word by word.
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  base::Result<RecordedTrace> Parse() {
    if (!NextLine()) return Wrong("the text is empty");
    if (auto const status = ParseHead(); !status) return Pass(status.error());
    if (sample_count_ == 0) return std::move(recorded_);
    std::vector<uint32_t> chunk_sizes, sizes;
    for (uint64_t chunk = 0; chunk < chunk_count_; ++chunk) {
      if (!NextLine() || NextWord() != "chunk") return Wrong("a chunk is missing");
      size_t const before = sizes.size();
      for (std::string_view word = NextWord(); !word.empty(); word = NextWord())
        if (!AddSample(word, sizes)) return Wrong("not a sample's size");
      if (sizes.size() == before) return Wrong("a chunk without a sample");
      chunk_sizes.push_back(static_cast<uint32_t>(sizes.size() - before));
    }
    std::vector<float>& weights = recorded_.trace.weights;
    if (sizes.size() != sample_count_ || (!weights.empty() && weights.size() != sample_count_))
      return Wrong("the samples of the chunks are not as many as was said");
    recorded_.shape.emplace(chunk_sizes, std::move(sizes));
    if (auto const status = ParseReads(); !status) return Pass(status.error());
    return std::move(recorded_);
  }

 private:
  tl::unexpected<base::Error> Wrong(const std::string& what) const {
    return Refuse("trace, line " + std::to_string(line_number_) + ": " + what);
  }

  bool NextLine() {
    if (text_.empty()) return false;
    size_t const end = std::min(text_.find('\n'), text_.size());
    line_ = text_.substr(0, end);
    text_.remove_prefix(std::min(end + 1, text_.size()));
    ++line_number_;
    return true;
  }

  std::string_view NextWord() {  // empty at the line's end
    line_.remove_prefix(std::min(line_.find_first_not_of(' '), line_.size()));
    std::string_view const word = line_.substr(0, line_.find(' '));
    line_.remove_prefix(word.size());
    return word;
  }

  template <typename T>
  static bool Number(std::string_view word, T& value) {
    auto const [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    return error == std::errc{} && end == word.data() + word.size();
  }

  base::Status ParseHead() {
    try {
      Json const head = Json::parse(line_);
      if (head.at("stokefs_trace").get<int>() != kVersion) return Wrong("of another version");
      sample_count_ = head.at("samples").get<uint64_t>();
      chunk_count_ = head.at("chunks").get<uint64_t>();
      if (sample_count_ > kSampleCountMax || chunk_count_ > sample_count_ ||
          (chunk_count_ == 0) != (sample_count_ == 0))
        return Wrong("impossible numbers of samples and chunks");
      recorded_.memory_bytes = head.at("memory_bytes").get<uint64_t>();
      recorded_.disk_bytes = head.at("disk_bytes").get<uint64_t>();
      recorded_.origin_parallel = head.at("origin_parallel").get<uint64_t>();
      recorded_.trace.job_count = cache::kJobCountMax;
      recorded_.trace.traits.resize(cache::kJobCountMax);
      for (Json const& job : head.at("jobs")) {
        if (auto status = ParseJob(job); !status) return status;
      }
    } catch (const Json::exception& error) {
      return Wrong(error.what());
    }
    return {};
  }

  base::Status ParseJob(const Json& head) {
    auto const index = head.at("index").get<uint64_t>();
    if (index >= cache::kJobCountMax) return Wrong("a job's index is too large");
    TracedJob job{.index = {static_cast<uint8_t>(index)},
                  .name = head.at("name").get<std::string>(),
                  .root = head.at("root").get<std::string>()};
    Trace::JobTraits& traits = recorded_.trace.traits[index];
    traits.is_weighted = head.at("weighted").get<bool>();
    if (!head.at("scope").is_null()) {
      auto bits = BitsOf(head.at("scope").get<std::string>(), sample_count_);
      if (!bits) return Wrong("a job's scope is not one bit a sample");
      traits.scope = *std::move(bits);
    }
    for (Json const& told : head.at("epochs")) {
      TracedEpoch epoch{.index = told.at("index").get<uint64_t>(),
                        .progress = told.at("progress").get<double>(),
                        .seconds = told.at("seconds").get<double>(),
                        .thought_s = told.at("thought_s").get<double>()};
      for (size_t i = 0; i < epoch.by_tier.size(); ++i) {
        Json const& tier = told.at("tiers").at(i);
        epoch.by_tier[i] = {tier.at(0).get<uint64_t>(), tier.at(1).get<double>()};
      }
      job.epochs.push_back(epoch);
    }
    if (job.epochs.empty()) return Wrong("a job without an epoch");
    recorded_.jobs.push_back(std::move(job));
    return {};
  }

  // SIZE or SIZE*IMPORTANCE
  bool AddSample(std::string_view word, std::vector<uint32_t>& sizes) {
    size_t const star = word.find('*');
    uint32_t size = 0;
    if (!Number(word.substr(0, star), size)) return false;
    sizes.push_back(size);
    if (star == std::string_view::npos) return true;
    float weight = 0;
    if (!Number(word.substr(star + 1), weight) || !(weight >= 0 && weight < 1e30f)) return false;
    recorded_.trace.weights.push_back(weight);
    return true;
  }

  base::Status ParseReads() {
    Trace& trace = recorded_.trace;
    cache::JobIndex job;
    while (NextLine()) {
      if (NextWord() != "reads") return Wrong("not a line of reads");
      for (std::string_view word = NextWord(); !word.empty(); word = NextWord()) {
        uint32_t number = 0;
        if (word == "+") {
          trace.epochs.push_back({trace.samples.size(), job});
        } else if (word.ends_with(':')) {
          word.remove_suffix(1);
          if (!Number(word, number) || number >= cache::kJobCountMax) return Wrong("no such job");
          job = {static_cast<uint8_t>(number)};
        } else {
          if (!Number(word, number) || number >= sample_count_) return Wrong("no such sample");
          trace.samples.push_back(number);
          trace.jobs.push_back(job.value);
        }
      }
    }
    return {};
  }

  std::string_view text_, line_;  // what is left
  size_t line_number_ = 0;
  uint64_t sample_count_ = 0, chunk_count_ = 0;
  RecordedTrace recorded_;
};

}  // namespace

uint64_t TracedEpoch::ReadCount() const {
  uint64_t count = 0;
  for (TracedTier const& tier : by_tier) count += tier.read_count;
  return count;
}

uint64_t TracedEpoch::HitCount() const {
  return by_tier[static_cast<size_t>(cache::Tier::kGpu)].read_count +
         by_tier[static_cast<size_t>(cache::Tier::kMemory)].read_count;
}

double TracedEpoch::WaitedSeconds() const {
  double sum = 0;
  for (TracedTier const& tier : by_tier) sum += tier.waited_s;
  return sum;
}

std::string TraceText(const RecordedTrace& recorded) {
  Json jobs = Json::array();
  for (TracedJob const& job : recorded.jobs) {
    Trace::JobTraits const& traits = recorded.trace.traits[job.index.value];
    Json epochs = Json::array();
    for (TracedEpoch const& epoch : job.epochs) epochs.push_back(EpochJson(epoch));
    jobs.push_back({{"index", job.index.value},
                    {"name", job.name},
                    {"root", job.root},
                    {"weighted", traits.is_weighted},
                    {"scope", traits.scope.empty() ? Json() : Json(HexOf(traits.scope))},
                    {"epochs", epochs}});
  }
  Json const head = {{"stokefs_trace", kVersion},
                     {"samples", recorded.shape ? recorded.shape->sample_count() : 0},
                     {"chunks", recorded.shape ? recorded.shape->chunk_count() : 0},
                     {"memory_bytes", recorded.memory_bytes},
                     {"disk_bytes", recorded.disk_bytes},
                     {"origin_parallel", recorded.origin_parallel},
                     {"jobs", jobs}};
  // Names are any bytes.
  std::string text = head.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  if (!recorded.shape) return text;
  AppendChunks(text, recorded);
  AppendReads(text, recorded.trace);
  return text;
}

base::Result<RecordedTrace> ParseTraceText(std::string_view text) { return Parser(text).Parse(); }

}  // namespace stokefs::tools
