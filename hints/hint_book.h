// All that jobs have told a mount: judges hints, keeps importances and jobs, tells who listens.
//
// Hints of paths that are known are judged at once, on the caller's thread. What takes time (a
// folder that the scan has not reached, the order behind #INDEX, the list of pins on disk) is done
// by the catalog and by a thread of its own, "hints", and the waiter hears of it. The same thread
// loads the values at the start, writes them when they have not changed for a while and at the
// end, and tells the listener. Thread-safe. Lock: mu_, a leaf.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/job_signal.h"
#include "base/journal.h"
#include "base/metrics.h"
#include "base/result.h"
#include "base/sync.h"
#include "cache/catalog.h"
#include "cache/ids.h"
#include "cache/importance_listener.h"
#include "hints/hint.h"
#include "hints/importance_values.h"
#include "hints/sample_places.h"

namespace stokefs::hints {

// Who has a hint judged. Called on the thread "hints", once a hint that was not judged at once.
class HintWaiter {
 public:
  virtual ~HintWaiter() = default;
  virtual void OnJudged(base::Status status) = 0;
  virtual void JudgeAgain() = 0;  // what was missing has come
};

class HintBook {
 public:
  struct Options {
    std::string file;  // where importances are kept; empty: they are not
    // Pins and unpins a path, durably; may block. Null: there is no disk.
    std::function<base::Status(const std::string&)> pin, unpin;
    base::Duration tell_after = std::chrono::milliseconds(200);
    base::Duration save_after = std::chrono::seconds(5);       // the last change
    base::Duration save_at_latest = std::chrono::seconds(60);  // after the first
    base::Duration look_period = std::chrono::seconds(2);      // for changes of the catalog
  };
  struct Job {
    std::string root;  // below SOURCE
    std::optional<uint64_t> epoch;
  };
  static constexpr size_t kJobsMax = 64;

  // All outlive this; `listener` may be null.
  HintBook(Options options, cache::Catalog& catalog, base::Journal& journal,
           cache::ImportanceListener* listener);
  ~HintBook();

  void Start();
  void Cancel() { signal_.Cancel(); }  // the thread writes what is not written, and ends
  // False when it is still busy after `limit`. What waits then is never judged; its waiters are
  // let go.
  bool Stop(std::chrono::milliseconds limit) EXCLUDES(mu_);

  // An error says in its message why the hint is bad. None: `waiter` hears, and until then the
  // hint's words stay. `job`: the one that the writer has chosen, empty for none.
  std::optional<base::Status> Judge(const Hint& hint, std::string& job,
                                    const std::shared_ptr<HintWaiter>& waiter) EXCLUDES(mu_);

  // Counts; a refused one is a line in the journal too.
  void CountAccepted() { accepted_.Add(); }
  void Refuse(uint64_t line, std::string_view reason);
  uint64_t AcceptedCount() const { return accepted_.Value(); }
  uint64_t RefusedCount() const { return refused_.Value(); }

  // Relative to the average; none: nobody said.
  std::optional<double> Importance(cache::SampleId sample) const EXCLUDES(mu_);
  uint64_t ImportanceCount() const EXCLUDES(mu_);
  std::map<std::string, Job> Jobs() const EXCLUDES(mu_);

 private:
  using Verdict = std::optional<base::Status>;
  using Waiter = std::shared_ptr<HintWaiter>;

  Verdict JudgeOne(const ImportanceHint& hint, std::string& job, const Waiter& waiter);
  Verdict JudgeOne(const EpochHint& hint, std::string& job, const Waiter& waiter);
  Verdict JudgeOne(const PinHint& hint, std::string& job, const Waiter& waiter);
  Verdict JudgeOne(const JobHint& hint, std::string& job, const Waiter& waiter);
  Verdict JudgeOne(const BadHint& hint, std::string& job, const Waiter& waiter);
  Verdict JudgeIndex(uint64_t index, float value, const std::string& job, const Waiter& waiter);
  base::Result<std::string> RootOf(const std::string& job) const EXCLUDES(mu_);
  Verdict Waiting(std::string_view path, const Waiter& waiter);
  void Set(const SamplePlace& sample, float value) EXCLUDES(mu_);
  void Later(std::function<void()> work) EXCLUDES(mu_);

  void Run();
  void DoWork() EXCLUDES(mu_);
  void MakeOrder(const std::string& root, const Waiter& waiter) EXCLUDES(mu_);
  void Load() EXCLUDES(mu_);
  void Save() EXCLUDES(mu_);
  bool SaveIsDue() const EXCLUDES(mu_);
  void JoinNodes() EXCLUDES(mu_);
  void Tell() EXCLUDES(mu_);
  void TellPlaces(std::span<const uint32_t> places, double average) EXCLUDES(mu_);
  void MarkChanged(uint32_t place) REQUIRES(mu_);
  base::Duration Pause() const EXCLUDES(mu_);

  const Options options_;
  cache::Catalog& catalog_;
  base::Journal& journal_;
  cache::ImportanceListener* const listener_;
  base::Counter accepted_, refused_;
  base::JobSignal signal_;  // of the thread

  mutable base::Mutex mu_;
  base::CondVar ended_signal_;
  ImportanceValues values_ GUARDED_BY(mu_);
  std::vector<uint32_t> changed_ GUARDED_BY(mu_);  // places that the listener is to hear of
  bool all_changed_ GUARDED_BY(mu_) = false;       // instead of a list longer than all
  double told_average_ GUARDED_BY(mu_) = 0;
  base::TimePoint tell_at_ GUARDED_BY(mu_);  // while there are changes
  std::optional<base::TimePoint> unsaved_since_ GUARDED_BY(mu_);
  base::TimePoint changed_at_ GUARDED_BY(mu_);
  std::map<std::string, Job> jobs_ GUARDED_BY(mu_);
  // By root, and when it was made. Two at most.
  struct KnownOrder {
    std::shared_ptr<const IndexOrder> order;
    base::TimePoint made_at;
  };
  std::vector<KnownOrder> orders_ GUARDED_BY(mu_);
  std::deque<std::function<void()>> work_ GUARDED_BY(mu_);  // one a waiter at most
  bool ended_ GUARDED_BY(mu_) = true;

  // Of the thread.
  uint64_t joined_changes_ = ~uint64_t{0};  // the catalog's count
  base::TimePoint next_join_{};
  std::thread thread_;  // of Start and Stop only
};

}  // namespace stokefs::hints
