#include "fs/statistics.h"

#include <nlohmann/json.hpp>

namespace stokefs::fs {
namespace {

using Json = nlohmann::ordered_json;

Json Optional(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

Json JobJson(const JobSnapshot& job) {
  Json epochs = Json::array();
  for (const EpochSnapshot& epoch : job.epochs) {
    epochs.push_back({{"index", epoch.index},
                      {"samples", epoch.samples},
                      {"progress", epoch.progress},
                      {"hit_ratio", Optional(epoch.hit_ratio)},
                      {"plan", epoch.plan}});
  }
  return {{"name", job.name}, {"root", job.root}, {"active", job.active}, {"epochs", epochs}};
}

Json DiskTierJson(const std::optional<DiskTierSnapshot>& disk) {
  if (!disk) return nullptr;
  return {{"reads", disk->reads},
          {"bytes", disk->bytes},
          {"errors", disk->errors},
          {"damaged", disk->damaged},
          {"written", disk->written},
          {"written_bytes", disk->written_bytes},
          {"skipped", disk->skipped},
          {"evicted", disk->evicted},
          {"pinned", disk->pinned},
          {"pending_bytes", disk->pending_bytes},
          {"loading", disk->loading},
          {"read_p50_us", disk->read_p50_us},
          {"read_p99_us", disk->read_p99_us}};
}

// A text in which every byte sequence is allowed becomes valid UTF-8: JSON knows nothing else.
std::string Dump(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

// One metric of the text format: help, type, value.
class PrometheusText {
 public:
  void Counter(const char* name, const char* help, uint64_t value) {
    Head(name, help, "counter");
    text_ += std::string("stokefs_") + name + " " + std::to_string(value) + "\n";
  }
  void Gauge(const char* name, const char* help, double value) {
    Head(name, help, "gauge");
    text_ += std::string("stokefs_") + name + " " + Number(value) + "\n";
  }
  void Head(const char* name, const char* help, const char* type) {
    text_ += std::string("# HELP stokefs_") + name + " " + help + "\n";
    text_ += std::string("# TYPE stokefs_") + name + " " + type + "\n";
  }
  void Labelled(const char* name, const std::string& label, uint64_t value) {
    text_ += std::string("stokefs_") + name + "{" + label + "} " + std::to_string(value) + "\n";
  }
  void LabelledNumber(const char* name, const std::string& label, double value) {
    text_ += std::string("stokefs_") + name + "{" + label + "} " + Number(value) + "\n";
  }
  std::string Take() { return std::move(text_); }

 private:
  static std::string Number(double value) { return Json(value).dump(); }
  std::string text_;
};

std::string LabelValue(const std::string& value) {
  std::string text = "\"";
  for (char c : value) {
    if (c == '\\' || c == '"') text += '\\';
    text += c == '\n' ? ' ' : c;
  }
  return text + "\"";
}

void AddDiskTier(const DiskTierSnapshot& disk, PrometheusText& text) {
  text.Counter("disk_reads_total", "Blocks read from the disk tier.", disk.reads);
  text.Counter("disk_read_bytes_total", "Bytes of them.", disk.bytes);
  text.Counter("disk_errors_total", "Reads of the disk tier that failed.", disk.errors);
  text.Counter("disk_damaged_total", "Blocks that were not as they had been written.",
               disk.damaged);
  text.Counter("disk_written_total", "Blocks written to the disk tier.", disk.written);
  text.Counter("disk_written_bytes_total", "Bytes of them.", disk.written_bytes);
  text.Counter("disk_skipped_total", "Blocks not kept for want of room or time.", disk.skipped);
  text.Counter("disk_evicted_total", "Blocks evicted from the disk tier.", disk.evicted);
  text.Gauge("disk_pending_bytes", "Bytes fetched and not yet on disk.",
             static_cast<double>(disk.pending_bytes));
}

}  // namespace

std::optional<double> Snapshot::HitRatio() const {
  if (reads.samples == 0) return std::nullopt;
  return static_cast<double>(reads.memory) / static_cast<double>(reads.samples);
}

std::string ToJson(const Snapshot& s) {
  Json jobs = Json::array();
  for (const JobSnapshot& job : s.jobs) jobs.push_back(JobJson(job));
  Json disks = Json::array();
  for (const DiskSnapshot& disk : s.disk) {
    disks.push_back({{"path", disk.path},
                     {"used_bytes", disk.used_bytes},
                     {"budget_bytes", disk.budget_bytes},
                     {"state", disk.state},
                     {"reason", disk.reason},
                     {"reader", disk.reader},
                     {"files", disk.files},
                     {"blocks", disk.blocks}});
  }
  Json parked = Json::array();
  for (const ParkedSnapshot& read : s.parked) {
    parked.push_back({{"path", read.path},
                      {"reader", read.reader},
                      {"offset", read.offset},
                      {"waited_ms", read.waited_ms}});
  }
  Json const json = {
      {"dataset",
       {{"digest", s.dataset.digest ? Json(*s.dataset.digest) : Json(nullptr)},
        {"samples", s.dataset.samples},
        {"bytes", s.dataset.bytes},
        {"chunks", s.dataset.chunks}}},
      {"reads",
       {{"samples", s.reads.samples},
        {"bytes", s.reads.bytes},
        {"memory", s.reads.memory},
        {"disk", s.reads.disk},
        {"peer", s.reads.peer},
        {"origin", s.reads.origin},
        {"errors", s.reads.errors},
        {"timeouts", s.reads.timeouts},
        {"refused", s.reads.refused},
        {"joined", s.reads.joined},
        {"prefetched", s.reads.prefetched},
        {"prefetch_errors", s.reads.prefetch_errors}}},
      {"read_ahead",
       {{"prefetched", s.read_ahead.prefetched},
        {"used", s.read_ahead.used},
        {"wasted", s.read_ahead.wasted}}},
      {"hit_ratio", Optional(s.HitRatio())},
      {"jobs", jobs},
      {"origin",
       {{"reads", s.origin.reads},
        {"bytes", s.origin.bytes},
        {"errors", s.origin.errors},
        {"stale", s.origin.stale},
        {"read_p50_us", s.origin.read_p50_us},
        {"read_p99_us", s.origin.read_p99_us}}},
      {"tiers",
       {{"memory",
         {{"used_bytes", s.memory.used_bytes},
          {"budget_bytes", s.memory.budget_bytes},
          {"payload_bytes", s.memory.payload_bytes},
          {"slots", s.memory.slots},
          {"evicted", s.memory.evicted}}},
        {"disk", disks}}},
      {"disk", DiskTierJson(s.disk_tier)},
      {"hints",
       {{"accepted", s.hints.accepted},
        {"rejected", s.hints.rejected},
        {"importances", s.hints.importances}}},
      {"latency_us", {{"read_p50", s.latency_us.read_p50}, {"read_p99", s.latency_us.read_p99}}},
      {"scan",
       {{"state", s.scan.state},
        {"loaded", s.scan.loaded},
        {"rescanning", s.scan.rescanning},
        {"folders", s.scan.folders},
        {"folders_listed", s.scan.folders_listed},
        {"samples", s.scan.samples},
        {"bytes", s.scan.bytes},
        {"errors", s.scan.errors}}},
      {"parked", parked},
      {"parked_count", s.parked_count},
      {"page_cache", s.page_cache},
      {"page_cache_dropping", s.page_cache_dropping},
      {"page_cache_dropped", s.page_cache_dropped},
      {"events_dropped", s.events_dropped},
      {"pid", s.pid},
      {"uptime_s", s.uptime_s},
      {"version", s.version}};
  return Dump(json);
}

std::string ToPrometheus(const Snapshot& s) {
  PrometheusText text;
  text.Gauge("dataset_samples", "Regular files in the dataset.",
             static_cast<double>(s.dataset.samples));
  text.Gauge("dataset_bytes", "Bytes of all samples.", static_cast<double>(s.dataset.bytes));
  text.Gauge("dataset_chunks", "Chunks that the samples are laid out in.",
             static_cast<double>(s.dataset.chunks));
  text.Head("first_reads_total", "First reads of a sample by the tier that served them.",
            "counter");
  text.Labelled("first_reads_total", "tier=\"memory\"", s.reads.memory);
  text.Labelled("first_reads_total", "tier=\"disk\"", s.reads.disk);
  text.Labelled("first_reads_total", "tier=\"peer\"", s.reads.peer);
  text.Labelled("first_reads_total", "tier=\"origin\"", s.reads.origin);
  text.Counter("samples_read_total", "First reads of a sample.", s.reads.samples);
  if (std::optional<double> const hit_ratio = s.HitRatio()) {
    text.Gauge("hit_ratio", "First reads answered from memory / first reads.", *hit_ratio);
  }
  text.Counter("read_joined_total", "Waits that joined a fetch already in flight.", s.reads.joined);
  text.Counter("read_bytes_total", "Bytes answered to the kernel.", s.reads.bytes);
  text.Counter("read_errors_total", "Reads answered with an errno.", s.reads.errors);
  text.Counter("read_timeouts_total", "Reads that passed their deadline.", s.reads.timeouts);
  text.Counter("read_refused_total", "Reads refused because too many waited.", s.reads.refused);
  text.Counter("prefetched_total", "Blocks fetched ahead of their readers.", s.reads.prefetched);
  text.Counter("prefetch_errors_total", "Blocks that could not be fetched ahead.",
               s.reads.prefetch_errors);
  text.Counter("read_ahead_blocks_total", "Blocks fetched for who reads in order.",
               s.read_ahead.prefetched);
  text.Counter("read_ahead_used_total", "Of those, read.", s.read_ahead.used);
  text.Counter("read_ahead_wasted_total", "Of those, not read in time.", s.read_ahead.wasted);
  text.Counter("origin_reads_total", "Samples or extents fetched from the origin.", s.origin.reads);
  text.Counter("origin_bytes_total", "Bytes fetched from the origin.", s.origin.bytes);
  text.Counter("origin_errors_total", "Fetches from the origin that failed.", s.origin.errors);
  text.Counter("origin_stale_total", "Fetches that found another version at the origin.",
               s.origin.stale);
  text.Gauge("scan_folders", "Folders known.", static_cast<double>(s.scan.folders));
  text.Gauge("scan_folders_listed", "Folders whose entries are known.",
             static_cast<double>(s.scan.folders_listed));
  text.Counter("scan_errors_total", "Entries and folders that the origin would not tell of.",
               s.scan.errors);
  text.Gauge("memory_used_bytes", "Bytes of the memory tier in use.",
             static_cast<double>(s.memory.used_bytes));
  text.Gauge("memory_budget_bytes", "Bytes that the memory tier may use.",
             static_cast<double>(s.memory.budget_bytes));
  text.Counter("memory_evicted_total", "Blocks evicted from memory.", s.memory.evicted);
  if (!s.disk.empty()) text.Head("disk_used_bytes", "Bytes of the disk tier in use.", "gauge");
  for (const DiskSnapshot& disk : s.disk) {
    text.Labelled("disk_used_bytes", "path=" + LabelValue(disk.path), disk.used_bytes);
  }
  if (!s.disk.empty()) text.Head("disk_budget_bytes", "Bytes that the disk tier may use.", "gauge");
  for (const DiskSnapshot& disk : s.disk) {
    text.Labelled("disk_budget_bytes", "path=" + LabelValue(disk.path), disk.budget_bytes);
  }
  if (!s.disk.empty()) text.Head("disk_healthy", "1 while chunks are written there.", "gauge");
  for (const DiskSnapshot& disk : s.disk) {
    text.Labelled("disk_healthy", "path=" + LabelValue(disk.path), disk.state == "healthy" ? 1 : 0);
  }
  if (s.disk_tier) AddDiskTier(*s.disk_tier, text);
  for (const char* what : {"job_epoch_progress", "job_epoch_hit_ratio"}) {
    if (!s.jobs.empty()) text.Head(what, "Of each job's newest epoch.", "gauge");
    for (const JobSnapshot& job : s.jobs) {
      if (job.epochs.empty()) continue;
      const EpochSnapshot& epoch = job.epochs.back();
      bool const progress = std::string_view(what) == "job_epoch_progress";
      text.LabelledNumber(what, "job=" + LabelValue(job.name),
                          progress ? epoch.progress : epoch.hit_ratio.value_or(0));
    }
  }
  text.Counter("hints_accepted_total", "Hint lines accepted.", s.hints.accepted);
  text.Counter("hints_rejected_total", "Hint lines rejected.", s.hints.rejected);
  text.Gauge("read_latency_p50_seconds", "Median latency of reads that reached the daemon.",
             static_cast<double>(s.latency_us.read_p50) / 1e6);
  text.Gauge("read_latency_p99_seconds", "99th percentile of the same.",
             static_cast<double>(s.latency_us.read_p99) / 1e6);
  text.Gauge("parked_reads", "Reads waiting for bytes.", static_cast<double>(s.parked_count));
  text.Counter("page_cache_dropped_total", "Samples dropped from the kernel's cache.",
               s.page_cache_dropped);
  text.Counter("events_dropped_total", "Read events that observers did not get.", s.events_dropped);
  text.Gauge("page_cache_dropping", "1 while used samples are dropped.",
             s.page_cache_dropping ? 1 : 0);
  text.Gauge("process_id", "Of the daemon.", s.pid);
  text.Gauge("uptime_seconds", "Time since the mount.", s.uptime_s);
  text.Head("info", "Version, dataset digest (empty during the first scan), page cache mode.",
            "gauge");
  text.Labelled("info",
                "version=" + LabelValue(s.version) +
                    ",digest=" + LabelValue(s.dataset.digest.value_or("")) +
                    ",page_cache=" + LabelValue(s.page_cache),
                1);
  return text.Take();
}

}  // namespace stokefs::fs
