#include "cache/epoch_engine.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/check.h"

namespace stokefs::cache {
namespace {

// Memory that the policy may not plan with: what is under way, and what slots waste.
constexpr uint64_t kSpareShare = 64;
// Of that, what readers' misses find room in without displacing what some job will read.
constexpr uint64_t kSparedShare = 128;
constexpr uint64_t kUnderWayShare = 50;
constexpr uint64_t kUnderWayBytesMin = 64u << 10, kUnderWayBytesMax = 64u << 20;
// How often it is looked for jobs that have ended and for another version of the catalog.
constexpr std::chrono::seconds kUpkeep{1};
constexpr size_t kCandidateCountMax = 64;
constexpr size_t kThreadCountMax = 4096;
constexpr size_t kRecordCountMax = 16;
constexpr size_t kImportanceBatch = 512;  // told under the memory tier's lock at a time
// A pause that is longer is none between two samples: an epoch's end, a checkpoint.
constexpr std::chrono::seconds kThoughtMax{5};
// The trace: so many epochs of all samples, and no more reads (of 5 bytes).
constexpr size_t kTracedEpochs = 3;
constexpr size_t kTracedReadsMax = size_t{8} << 20;
// Two folders that one group reads alternately so many times are one scope.
constexpr uint64_t kAlternateCount = 16;

uint64_t UnderWayBytesMax(uint64_t memory_bytes) {
  return std::clamp(memory_bytes / kUnderWayShare, kUnderWayBytesMin, kUnderWayBytesMax);
}

std::string CommonFolderOf(std::string a, const std::string& b) {
  auto const holds = [&](const std::string& folder) {
    return folder.empty() ||
           (b.starts_with(folder) && (b.size() == folder.size() || b[folder.size()] == '/'));
  };
  while (!holds(a)) {
    size_t const slash = a.rfind('/');
    a.resize(slash == std::string::npos ? 0 : slash);
  }
  return a;
}

}  // namespace

EpochEngine::EpochEngine(Options options, const DatasetView& view, const base::Processes& processes,
                         MemoryTier& memory, EpochReplacement& replacement,
                         WishPump::Prefetch prefetch, const base::Clock& clock)
    : options_(options),
      view_(view),
      memory_(memory),
      replacement_(replacement),
      clock_(clock),
      groups_(processes, clock),
      kept_up_(clock.Now()),
      pump_({.under_way_bytes_max = UnderWayBytesMax(options.memory_bytes)}, memory, replacement,
            std::move(prefetch), clock) {}

// --- reads

void EpochEngine::OnReads(std::span<const ReadEvent> events) {
  base::TimePoint const now = clock_.Now();
  Upkeep(now);
  uint64_t const extent_bytes = options_.layout.extent_bytes;
  for (ReadEvent const& event : events) {
    if (event.size_bytes == 0) continue;
    const ReaderGroup* const known = groups_.GroupOf(event.reader);
    if (known == nullptr) continue;  // gone, and who it was will never be known
    ReaderGroup const group = *known;
    // Each block once: at the READ of its first byte.
    uint64_t const end = event.offset + event.size_bytes;
    for (uint64_t i = (event.offset + extent_bytes - 1) / extent_bytes; i * extent_bytes < end; ++i)
      NoteBlock(group, {event.node, static_cast<uint32_t>(i)}, event, now);
  }
  Tell();
  if (!jobs_.empty()) pump_.Poke();
}

void EpochEngine::OnIdle() {
  Upkeep(clock_.Now());
  if (!jobs_.empty()) pump_.Poke();
}

void EpochEngine::NoteBlock(const ReaderGroup& group, BlockKey key, const ReadEvent& event,
                            base::TimePoint now) {
  auto const sample = map_ != nullptr ? map_->Find(key) : std::nullopt;
  for (Job& job : jobs_) {
    if (!sample || !(job.group == group) || !(*job.scope)[sample->value]) continue;
    if (IsSecondRead(job, event.reader, *sample)) return;
    if (job.answered.size() > kThreadCountMax) job.answered.clear();
    base::TimePoint const asked = event.when - event.waited;
    auto const [answered, is_new] = job.answered.try_emplace(event.reader.thread_id, asked);
    base::Duration const pause = asked - answered->second;
    answered->second = event.when;
    bool const thinks = pause > base::Duration{} && pause < kThoughtMax;
    NoteRead(job, event.reader, *sample,
             {.tier = event.tier,
              .waited = event.waited,
              .thought = thinks ? pause : base::Duration{},
              .when = event.when},
             now);
    return;
  }
  NoteStray(group, key, now);
}

// When a page is dropped before its reader has copied it, which happens on busy machines, the
// kernel reads it again at once. That is no repeat of the job's.
bool EpochEngine::IsSecondRead(Job& job, ReaderId reader, SampleIndex sample) {
  size_t const count = std::min(job.recent_count, job.recent.size());
  for (RecentRead const& read : std::span(job.recent).first(count))
    if (read.reader == reader && read.sample == sample) return true;
  job.recent[job.recent_count++ % job.recent.size()] = {reader, sample};
  return false;
}

void EpochEngine::NoteRead(Job& job, ReaderId reader, SampleIndex sample, const JobRead& read,
                           base::TimePoint now) {
  bool const hit = read.tier <= Tier::kMemory;
  bool const new_pass = job.passes.OnRead(sample);
  if (new_pass && !std::exchange(job.epoch_told, false))
    told_.push_back({.epoch = true, .job = job.index});
  auto const opening = job.passes.opening();
  if (new_pass) {
    for (SampleIndex const earlier : opening.first(opening.size() - 1))
      told_.push_back({.job = job.index, .sample = earlier});
  }
  told_.push_back({.hit = hit, .job = job.index, .sample = sample, .reader = reader});
  if (new_pass) NoteSampling(job);
  NoteSubset(job, new_pass, sample);
  job.last_read = now;
  ++job.read_count;
  {
    base::MutexLock lock(mu_);
    JobRecord& record = RecordOf(job).report.record;
    auto const begin_epoch = [&](size_t opening_count) REQUIRES(mu_) {
      record.OnEpoch(job.scope_count, opening_count);
      trace_.OnEpoch(job.index, opening_count);
    };
    // Who draws by weights has no passes: so many reads are an epoch.
    bool const is_over = job.is_weighted && record.epochs().back().ReadCount() >= job.scope_count;
    if (is_over) begin_epoch(0);
    if (new_pass && !job.is_weighted) begin_epoch(opening.size() - 1);
    record.OnRead(read);
    trace_.OnRead(sample, job.index);
    record.SetUsed(job.is_weighted ? record.epochs().back().ReadCount() : job.passes.used_count());
  }
  // All was read: what memory holds is worth something again at once, and not only at the next
  // read, before which a validation pass may come.
  if (job.passes.used_count() >= job.scope_count && !job.epoch_told) {
    told_.push_back({.epoch = true, .job = job.index});
    job.epoch_told = true;
  }
}

void EpochEngine::NoteSampling(Job& job) {
  bool const is_weighted = job.passes.LooksWeighted();
  if (is_weighted == std::exchange(job.is_weighted, is_weighted)) return;
  {
    base::MutexLock lock(mu_);
    RecordOf(job).is_weighted = is_weighted;
  }
  Tell();
  memory_.Steer([&] {
    replacement_.steering()->policy.SetSampling(
        job.index,
        is_weighted ? EpochPolicy::Sampling::kWeighted : EpochPolicy::Sampling::kOncePerEpoch);
  });
}

// Of the job's last read. Those that opened a pass say nothing: they are also in the one before.
void EpochEngine::NoteSubset(Job& job, bool new_pass, SampleIndex sample) {
  if (job.is_weighted) return;
  bool changed = false;
  if (!new_pass)
    changed = job.subset.OnRead(sample);
  else if (job.passes.pass_count() > 1)
    changed = job.subset.OnPass(job.passes.used_before());
  if (!changed) return;
  Tell();
  job.scope_count = job.subset.allowed_count();
  job.passes.SetScopeCount(job.scope_count);
  auto const allowed = std::make_shared<const std::vector<bool>>(job.subset.allowed());
  memory_.Steer(
      [&] { replacement_.steering()->policy.SetScope(job.index, *allowed, job.passes.used()); });
  base::MutexLock lock(mu_);
  RecordOf(job).scope = allowed;
}

void EpochEngine::NoteStray(const ReaderGroup& group, BlockKey key, base::TimePoint now) {
  auto found = candidates_.find(group.pid);
  if (found == candidates_.end()) {
    if (candidates_.size() >= kCandidateCountMax) {
      candidates_.erase(std::min_element(
          candidates_.begin(), candidates_.end(),
          [](const auto& a, const auto& b) { return a.second.last_read < b.second.last_read; }));
    }
    found =
        candidates_.emplace(group.pid, Candidate{.shuffles = ShuffleDetector(view_.order())}).first;
  }
  Candidate& candidate = found->second;
  candidate.last_read = now;
  bool const shuffles = candidate.shuffles.OnRead(key);
  auto const evidence = candidate.shuffles.evidence();
  if (evidence.size() <= 1) candidate.job_reads_before = JobReadsOf(group);
  if (!shuffles) return;
  if (!groups_.IsAlive(group)) {  // its last reads, after its job has ended
    candidates_.erase(found);
    return;
  }
  uint64_t const version = view_.Version();
  if (version == 0 || (map_ == nullptr && !Renew(version))) return;  // at a later read

  std::vector<BlockKey> reads(evidence.begin(), evidence.end());
  // Of files that are gone, or have changed since, nobody has epochs.
  std::erase_if(reads, [this](BlockKey read) { return !view_.PathOf(read.node); });
  if (reads.size() < ShuffleDetector::kScoreMin) {
    candidates_.erase(found);
    return;
  }
  std::string root = CommonFolder(reads);
  // Read alternately with what a job of the group reads: its scope was seen too small.
  if (JobReadsOf(group) >= candidate.job_reads_before + kAlternateCount) {
    for (auto job = jobs_.begin(); job != jobs_.end();) {
      auto const next = std::next(job);
      if (job->group == group) {
        root = CommonFolderOf(std::move(root), job->root);
        End(job);
      }
      job = next;
    }
  }
  candidates_.erase(found);
  Begin(group, std::move(root), now, reads);
}

uint64_t EpochEngine::JobReadsOf(const ReaderGroup& group) const {
  uint64_t count = 0;
  for (Job const& job : jobs_) count += job.group == group ? job.read_count : 0;
  return count;
}

void EpochEngine::Tell() {
  if (told_.empty()) return;
  memory_.Steer([this] {
    EpochSteering& steering = *replacement_.steering();
    EpochPolicy& policy = steering.policy;
    if (steering.jobs_of_thread.size() > kThreadCountMax) steering.jobs_of_thread.clear();
    for (Told const& told : told_) {
      if (told.reader.thread_id != 0) {
        uint8_t& jobs = steering.jobs_of_thread[told.reader.thread_id];
        jobs = static_cast<uint8_t>(jobs | 1u << told.job.value);
      }
      if (told.epoch)
        policy.OnEpoch(told.job);
      else if (told.hit)
        policy.OnHit(told.sample, told.job);
      else  // what it would rather drop is spent, and the first to go
        policy.OnMiss(told.sample, told.job);
    }
  });
  told_.clear();
}

// --- jobs

std::string EpochEngine::CommonFolder(std::span<const BlockKey> keys) const {
  std::optional<std::string> common;
  for (BlockKey const key : keys) {
    auto path = view_.PathOf(key.node);
    if (!path) continue;
    size_t const slash = path->rfind('/');
    path->resize(slash == std::string::npos ? 0 : slash);
    common = common ? CommonFolderOf(std::move(*common), *path) : std::move(*path);
  }
  return common.value_or("");
}

EpochEngine::Record& EpochEngine::RecordOf(const Job& job) {
  auto const found = std::find_if(records_.begin(), records_.end(), [&](const Record& record) {
    return record.number == job.number;
  });
  STOKEFS_CHECK(found != records_.end());
  return *found;
}

// False when there is nothing to read.
bool EpochEngine::FindScope(Job& job) {
  std::vector<bool> scope(map_->shape().sample_count());
  job.scope_count = 0;
  view_.Visit(job.root, [&](const CatalogSample& file) {
    for (uint32_t i = 0;; ++i) {
      auto const sample = map_->Find({file.node, i});
      if (!sample) break;
      scope[sample->value] = true;
      ++job.scope_count;
    }
  });
  job.subset = SubsetDetector(scope);
  job.scope = std::make_shared<const std::vector<bool>>(std::move(scope));
  job.passes =
      PassDetector({.sample_count = map_->shape().sample_count(), .scope_count = job.scope_count});
  return job.scope_count > 0;
}

// Of the policy's few; the job that has read nothing for the longest gives its up.
std::optional<JobIndex> EpochEngine::FreeIndex() {
  if (jobs_.size() >= kJobCountMax) {
    End(std::min_element(jobs_.begin(), jobs_.end(),
                         [](const Job& a, const Job& b) { return a.last_read < b.last_read; }));
  }
  for (uint8_t i = 0; i < kJobCountMax; ++i) {
    bool const taken = std::any_of(jobs_.begin(), jobs_.end(),
                                   [&](const Job& job) { return job.index.value == i; });
    if (!taken) return JobIndex{i};
  }
  return std::nullopt;
}

void EpochEngine::Begin(const ReaderGroup& group, std::string root, base::TimePoint now,
                        std::span<const BlockKey> reads) {
  Tell();
  Job job{.group = group,
          .root = std::move(root),
          .passes = PassDetector({}),
          .subset = SubsetDetector({}),
          .last_read = now};
  if (!FindScope(job)) return;
  auto const index = FreeIndex();
  if (!index) return;
  job.index = *index;
  job.number = ++job_count_;
  std::string const name = job.root.empty() ? group.name : group.name + ":" + job.root;
  {
    base::MutexLock lock(mu_);
    if (records_.size() >= kRecordCountMax) {
      auto const ended = std::find_if(records_.begin(), records_.end(),
                                      [](const Record& r) { return !r.report.active; });
      if (ended != records_.end()) records_.erase(ended);
    }
    records_.push_back({.number = job.number,
                        .report = {.record = JobRecord(name, job.root), .active = true},
                        .index = job.index,
                        .scope = job.scope});
  }
  jobs_.push_back(std::move(job));
  StartInPolicy(jobs_.back());
  for (BlockKey const key : reads) {  // that came before it was known for a job: of memory or not
    auto const sample = map_->Find(key);
    if (sample && (*jobs_.back().scope)[sample->value])
      NoteRead(jobs_.back(), {}, *sample, {.tier = Tier::kOrigin, .when = now}, now);
  }
}

void EpochEngine::StartInPolicy(Job& job) {
  job.is_weighted = false;
  job.epoch_told = true;
  memory_.Steer([&] { replacement_.steering()->policy.StartJob(job.index, *job.scope); });
}

void EpochEngine::End(std::list<Job>::iterator job) {
  Tell();
  memory_.Steer([&] {
    EpochSteering& steering = *replacement_.steering();
    steering.policy.EndJob(job->index);
    for (auto& [thread, jobs] : steering.jobs_of_thread)
      jobs = static_cast<uint8_t>(jobs & ~(1u << job->index.value));
  });
  {
    base::MutexLock lock(mu_);
    RecordOf(*job).report.active = false;
  }
  jobs_.erase(job);
}

void EpochEngine::Upkeep(base::TimePoint now) {
  if (now - kept_up_ < kUpkeep) return;
  kept_up_ = now;
  for (auto job = jobs_.begin(); job != jobs_.end();) {
    auto const next = std::next(job);
    if (now - job->last_read > options_.idle_max || !groups_.IsAlive(job->group)) End(job);
    job = next;
  }
  uint64_t const version = view_.Version();
  bool const is_stable = version == std::exchange(seen_version_, version);
  if (map_ != nullptr && version != 0 && version != map_version_ && is_stable) Renew(version);
}

// Builds what the present version is steered with and installs it. Jobs start again. False when
// there is no sample.
bool EpochEngine::Renew(uint64_t version) {
  Tell();
  std::vector<SampleMap::File> files;
  view_.Visit("", [&](const CatalogSample& file) {
    files.push_back({MakeSampleId(file.path), file.node, file.size_bytes});
  });
  map_ = SampleMap::Make(std::move(files), options_.layout);
  map_version_ = version;
  std::unique_ptr<EpochSteering> steering;
  if (map_ != nullptr) {
    uint64_t const spare_bytes = options_.memory_bytes / kSpareShare;
    steering = std::make_unique<EpochSteering>(
        map_, EpochSteering::Options{.capacity_bytes = options_.memory_bytes - spare_bytes,
                                     .spared_bytes = options_.memory_bytes / kSparedShare});
  } else {
    while (!jobs_.empty()) End(jobs_.begin());
  }
  Install(std::move(steering));
  {
    base::MutexLock lock(mu_);
    traced_map_ = map_;
    size_t const sample_count = map_ != nullptr ? map_->shape().sample_count() : 0;
    trace_ = JobTrace(std::min(kTracedEpochs * sample_count, kTracedReadsMax));
  }
  for (auto job = jobs_.begin(); job != jobs_.end();) {
    auto const next = std::next(job);
    bool const has_samples = FindScope(*job);
    {
      base::MutexLock lock(mu_);
      Record& record = RecordOf(*job);
      record.report.active = has_samples;
      record.is_weighted = false;
      record.scope = job->scope;
    }
    if (has_samples)
      StartInPolicy(*job);
    else  // its folder is gone
      jobs_.erase(job);
    job = next;
  }
  return map_ != nullptr;
}

void EpochEngine::Install(std::unique_ptr<EpochSteering> steering) {
  base::MutexLock lock(importance_mu_);
  if (steering != nullptr) importance_.TellAll(*steering->map, steering->policy);
  std::unique_ptr<EpochSteering> before;  // dies without the tier's lock
  memory_.Steer([&] { before = replacement_.Install(std::move(steering)); });
}

void EpochEngine::OnImportance(std::span<const ImportanceChange> changes) {
  base::MutexLock lock(importance_mu_);
  importance_.Remember(changes);
  while (!changes.empty()) {
    auto const batch = changes.first(std::min(changes.size(), kImportanceBatch));
    changes = changes.subspan(batch.size());
    memory_.Steer([&] {
      EpochSteering* const steering = replacement_.steering();
      if (steering != nullptr) ToldImportance::Tell(batch, *steering->map, steering->policy);
    });
  }
}

std::vector<JobReport> EpochEngine::Jobs() const {
  base::MutexLock lock(mu_);
  std::vector<JobReport> jobs;
  for (Record const& record : records_) jobs.push_back(record.report);
  return jobs;
}

JobTraceReport EpochEngine::Trace() const {
  JobTraceReport report;
  {
    base::MutexLock lock(mu_);
    report.map = traced_map_;
    report.reads = trace_.Copy();
    for (Record const& record : records_) {
      if (!record.report.active) continue;
      report.jobs.push_back({.index = record.index,
                             .record = record.report.record,
                             .is_weighted = record.is_weighted,
                             .scope = record.scope});
    }
  }
  if (report.map == nullptr) return report;
  base::MutexLock lock(importance_mu_);
  report.importance = importance_.Of(*report.map);
  return report;
}

}  // namespace stokefs::cache
