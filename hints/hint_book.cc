#include "hints/hint_book.h"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace stokefs::hints {
namespace {

constexpr size_t kOrdersMax = 2;
// An order of a catalog that changes all the time is right for this long.
constexpr std::chrono::seconds kOrderAge{2};

base::TimePoint Now() { return std::chrono::steady_clock::now(); }

tl::unexpected<base::Error> Bad(std::string reason) {
  return base::Fail(std::errc::invalid_argument, std::move(reason));
}

// What a hint's writer shall read when a path is not what he says.
tl::unexpected<base::Error> BadPath(const base::Error& error) {
  switch (error.code) {
    case std::errc::no_such_file_or_directory:
    case std::errc::not_a_directory:
      return Bad("no such path below the mount");
    case std::errc::is_a_directory:
      return Bad("the path is no file");
    default:
      return Bad("the origin does not tell of the path: " + error.message);
  }
}

bool IsNotListed(const base::Error& error) {
  return error.code == std::errc::resource_unavailable_try_again;
}

}  // namespace

HintBook::HintBook(Options options, cache::Catalog& catalog, base::Journal& journal,
                   cache::ImportanceListener* listener)
    : options_(std::move(options)), catalog_(catalog), journal_(journal), listener_(listener) {}

HintBook::~HintBook() { Stop(std::chrono::hours(24)); }

std::optional<base::Status> HintBook::Judge(const Hint& hint, std::string& job,
                                            const std::shared_ptr<HintWaiter>& waiter) {
  return std::visit([&](const auto& one) { return JudgeOne(one, job, waiter); }, hint);
}

HintBook::Verdict HintBook::JudgeOne(const BadHint& hint, std::string&, const Waiter&) {
  return Bad(std::string(hint.reason));
}

HintBook::Verdict HintBook::JudgeOne(const ImportanceHint& hint, std::string& job,
                                     const Waiter& waiter) {
  if (hint.target.index) return JudgeIndex(*hint.target.index, hint.value, job, waiter);
  auto const sample = FindSample(catalog_, hint.target.path);
  if (sample) {
    Set(*sample, hint.value);
    return base::Status();
  }
  if (IsNotListed(sample.error())) return Waiting(hint.target.path, waiter);
  return BadPath(sample.error());
}

HintBook::Verdict HintBook::JudgeIndex(uint64_t index, float value, const std::string& job,
                                       const Waiter& waiter) {
  auto const root = RootOf(job);
  if (!root) return tl::unexpected<base::Error>(root.error());
  std::shared_ptr<const IndexOrder> order;
  {
    uint64_t const changes = catalog_.ChangeCount();
    base::MutexLock lock(mu_);
    for (const KnownOrder& known : orders_) {
      bool const is_fresh =
          known.order->ChangeCount() == changes || Now() - known.made_at < kOrderAge;
      if (known.order->Root() == *root && is_fresh) order = known.order;
    }
  }
  if (order == nullptr) {
    Later([this, root = *root, waiter] { MakeOrder(root, waiter); });
    return std::nullopt;
  }
  if (index >= order->Count()) {
    return Bad("an index below the job's root is less than " + std::to_string(order->Count()));
  }
  Set(order->At(index), value);
  return base::Status();
}

HintBook::Verdict HintBook::JudgeOne(const EpochHint& hint, std::string&, const Waiter&) {
  base::MutexLock lock(mu_);
  auto found = jobs_.find(std::string(hint.job));
  if (found == jobs_.end()) {
    if (jobs_.size() >= kJobsMax) return Bad("there are 64 jobs already");
    found = jobs_.emplace(hint.job, Job{}).first;
  }
  found->second.epoch = hint.epoch;
  return base::Status();
}

HintBook::Verdict HintBook::JudgeOne(const PinHint& hint, std::string&, const Waiter& waiter) {
  bool const is_pin = hint.kind == PinHint::Kind::kPin;
  auto const& change = is_pin ? options_.pin : options_.unpin;
  if (!change) return Bad("there is no disk tier to pin to");
  if (auto const node = catalog_.FindPath(hint.path); !node && is_pin) {
    if (IsNotListed(node.error())) return Waiting(hint.path, waiter);
    return BadPath(node.error());
  }
  Later([&change, waiter, path = std::string(hint.path)] {
    base::Status status = change(path);
    waiter->OnJudged(std::move(status));
  });
  return std::nullopt;
}

HintBook::Verdict HintBook::JudgeOne(const JobHint& hint, std::string& job, const Waiter& waiter) {
  if (hint.root) {
    auto const node = catalog_.FindPath(*hint.root);
    if (!node && IsNotListed(node.error())) return Waiting(*hint.root, waiter);
    if (!node) return BadPath(node.error());
    auto const attributes = catalog_.Attributes(*node);
    if (!attributes || attributes->type != cache::FileType::kFolder) {
      return Bad("a job's root is a folder");
    }
  }
  std::string name(hint.name);
  base::MutexLock lock(mu_);
  auto found = jobs_.find(name);
  if (found == jobs_.end()) {
    if (!hint.root) return Bad("no such job; \"job NAME root=DIR\" names a new one");
    if (jobs_.size() >= kJobsMax) return Bad("there are 64 jobs already");
    found = jobs_.emplace(name, Job{}).first;
  }
  if (hint.root) found->second.root = *hint.root;
  job = std::move(name);
  return base::Status();
}

base::Result<std::string> HintBook::RootOf(const std::string& job) const {
  base::MutexLock lock(mu_);
  if (auto const found = jobs_.find(job); found != jobs_.end()) return found->second.root;
  if (jobs_.size() > 1)
    return Bad("there are several jobs; \"job NAME\" says which index is meant");
  return jobs_.empty() ? std::string() : jobs_.begin()->second.root;
}

// The folder on the way to `path` is listed out of its turn.
HintBook::Verdict HintBook::Waiting(std::string_view path, const Waiter& waiter) {
  cache::NodeId const folder = UnlistedFolder(catalog_, path);
  if (folder == cache::kNoNode) {  // it was listed just now
    Later([waiter] { waiter->JudgeAgain(); });
    return std::nullopt;
  }
  catalog_.EnsureListed(folder, [this, waiter](base::Status status) {
    Later([waiter, status = std::move(status)] {
      if (status) {
        waiter->JudgeAgain();
      } else {
        waiter->OnJudged(BadPath(status.error()));
      }
    });
  });
  return std::nullopt;
}

void HintBook::Set(const SamplePlace& sample, float value) {
  bool is_first = false;
  {
    base::MutexLock lock(mu_);
    auto const place = values_.Set({sample.id, sample.node, value});
    if (!place) return;
    is_first = changed_.empty() && !all_changed_;
    MarkChanged(*place);
    changed_at_ = Now();
    if (!unsaved_since_) unsaved_since_ = changed_at_;
  }
  if (is_first) signal_.Wake();
}

void HintBook::MarkChanged(uint32_t place) {
  if (all_changed_) return;
  if (changed_.empty()) tell_at_ = Now() + options_.tell_after;
  changed_.push_back(place);
  if (changed_.size() <= values_.Entries().size()) return;
  all_changed_ = true;
  changed_.clear();
}

void HintBook::Later(std::function<void()> work) {
  {
    base::MutexLock lock(mu_);
    if (ended_) return;  // whoever waits is let go
    work_.push_back(std::move(work));
  }
  signal_.Wake();
}

void HintBook::MakeOrder(const std::string& root, const Waiter& waiter) {
  if (!catalog_.Summary()) {
    waiter->OnJudged(Bad("indices are known when the first scan is done, and it is not"));
    return;
  }
  auto made = IndexOrder::Make(catalog_, root);
  if (!made) {
    waiter->OnJudged(BadPath(made.error()));
    return;
  }
  {
    auto order = std::make_shared<const IndexOrder>(std::move(*made));
    base::MutexLock lock(mu_);
    std::erase_if(orders_, [&](const KnownOrder& one) { return one.order->Root() == root; });
    if (orders_.size() == kOrdersMax) orders_.erase(orders_.begin());
    orders_.push_back({std::move(order), Now()});
  }
  waiter->JudgeAgain();
}

void HintBook::Refuse(uint64_t line, std::string_view reason) {
  refused_.Add();
  journal_.Warning("hints: line " + std::to_string(line) + ": " + std::string(reason));
}

std::optional<double> HintBook::Importance(cache::SampleId sample) const {
  base::MutexLock lock(mu_);
  auto const place = values_.Find(sample);
  if (!place) return std::nullopt;
  double const average = values_.Average();
  return average > 0 ? double{values_.Entries()[*place].value} / average : 0;
}

uint64_t HintBook::ImportanceCount() const {
  base::MutexLock lock(mu_);
  return values_.Entries().size();
}

std::map<std::string, HintBook::Job> HintBook::Jobs() const {
  base::MutexLock lock(mu_);
  return jobs_;
}

}  // namespace stokefs::hints
