// Faults as decorators around a source: the nth item fails, comes with a wrong bit, or comes late.
#pragma once

#include <algorithm>
#include <atomic>
#include <functional>
#include <utility>
#include <vector>

#include "base/sync.h"
#include "cache/chunk_source.h"

namespace stokefs::testing {

// Items are counted from 1 in the order of asking. `period`: 0 once, else again every so many.
struct WhichItems {
  size_t first = 1;
  size_t period = 0;

  bool Has(size_t n) const {
    return n == first || (period != 0 && n > first && (n - first) % period == 0);
  }
};

// Hands all items to `inner`; Touch may replace the `done` of each.
class SourceDecorator : public cache::ChunkSource {
 public:
  explicit SourceDecorator(cache::ChunkSource& inner) : inner_(inner) {}
  cache::Tier tier() const override { return inner_.tier(); }
  void Fetch(std::vector<cache::FetchItem> items) override {
    for (auto& item : items) Touch(item, asked_count_.fetch_add(1) + 1);
    inner_.Fetch(std::move(items));
  }

 protected:
  virtual void Touch(cache::FetchItem& item, size_t n) = 0;

 private:
  cache::ChunkSource& inner_;
  std::atomic<size_t> asked_count_{0};
};

// The nth item is answered `error`, though its bytes came.
class FailNthSource final : public SourceDecorator {
 public:
  FailNthSource(cache::ChunkSource& inner, WhichItems which, std::errc error)
      : SourceDecorator(inner), which_(which), error_(error) {}

 private:
  void Touch(cache::FetchItem& item, size_t n) override {
    if (!which_.Has(n)) return;
    item.done = [done = std::move(item.done), error = error_](base::Status) {
      done(base::Fail(error, "the test's fault"));
    };
  }

  const WhichItems which_;
  const std::errc error_;
};

// The nth item is answered ok with one bit of its middle byte flipped.
class FlipBitSource final : public SourceDecorator {
 public:
  FlipBitSource(cache::ChunkSource& inner, WhichItems which)
      : SourceDecorator(inner), which_(which) {}

 private:
  void Touch(cache::FetchItem& item, size_t n) override {
    if (!which_.Has(n) || item.into.empty()) return;
    item.done = [done = std::move(item.done), into = item.into](base::Status status) {
      into[into.size() / 2] ^= std::byte{1};
      done(std::move(status));
    };
  }

  const WhichItems which_;
};

// Answers come `delay` after the inner source gave them, by `clock`, when the test calls AnswerDue.
// The destructor answers what is left.
class DelaySource final : public SourceDecorator {
 public:
  DelaySource(cache::ChunkSource& inner, const base::Clock& clock, base::Duration delay)
      : SourceDecorator(inner), clock_(clock), delay_(delay) {}
  ~DelaySource() override { AnswerUntil(base::TimePoint::max()); }

  // Answers what is due; says how many.
  size_t AnswerDue() { return AnswerUntil(clock_.Now()); }

 private:
  struct Late {
    base::TimePoint due;
    std::function<void(base::Status)> done;
    base::Status status;
  };

  void Touch(cache::FetchItem& item, size_t) override {
    item.done = [this, done = std::move(item.done)](base::Status status) {
      base::MutexLock lock(mu_);
      late_.push_back({clock_.Now() + delay_, done, std::move(status)});
    };
  }
  size_t AnswerUntil(base::TimePoint now) {
    std::vector<Late> due;
    {
      base::MutexLock lock(mu_);
      auto const first_due =
          std::stable_partition(late_.begin(), late_.end(), [&](auto& l) { return l.due > now; });
      due.assign(std::make_move_iterator(first_due), std::make_move_iterator(late_.end()));
      late_.erase(first_due, late_.end());
    }
    for (auto& late : due) late.done(std::move(late.status));
    return due.size();
  }

  const base::Clock& clock_;
  const base::Duration delay_;
  base::Mutex mu_;
  std::vector<Late> late_ GUARDED_BY(mu_);
};

}  // namespace stokefs::testing
