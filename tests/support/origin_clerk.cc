#include "tests/support/origin_clerk.h"

#include <algorithm>
#include <sstream>

namespace stokefs::support {
namespace {

constexpr const char* kKindName[kRequestKindCount] = {"lookups",  "getattrs", "readlinks",
                                                      "readdirs", "opens",    "reads"};

std::string Decoded(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); i++) {
    if (text[i] == '%' && i + 2 < text.size()) {
      out += static_cast<char>(std::stoi(text.substr(i + 1, 2), nullptr, 16));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace

void OriginClerk::Submit(RequestKind kind, const std::string& path, ReadRange range, Work work) {
  counts_[static_cast<size_t>(kind)]++;
  if (kind == RequestKind::kRead && range.offset == 0) first_reads_++;
  {
    std::lock_guard const lock(mu_);
    if (kind == RequestKind::kOpen) opened_[path]++;
    if (Hangs(kind, path)) {
      hung_.push_back(std::move(work));
      return;
    }
    Time const now = Clock::now();
    Time const due = Due(kind, range, now);
    if (due > now) {
      late_.emplace(due, std::move(work));
      most_at_once_ = std::max(most_at_once_, late_.size());
      wake_.notify_one();
      return;
    }
  }
  work();
}

bool OriginClerk::Hangs(RequestKind kind, const std::string& path) const {
  bool const for_contents =
      kind == RequestKind::kOpen || kind == RequestKind::kRead || kind == RequestKind::kReaddir;
  return hang_all_ || hang_.count(path) != 0 || (for_contents && hang_contents_.count(path) != 0);
}

OriginClerk::Time OriginClerk::Due(RequestKind kind, ReadRange range, Time now) {
  bool const for_bytes = kind == RequestKind::kOpen || kind == RequestKind::kRead;
  auto delay = for_bytes ? delay_ : meta_delay_;
  if (kind == RequestKind::kOpen) delay += open_delay_;
  if (kind == RequestKind::kRead && range.offset == 0) delay += first_read_delay_;
  Time due = now;
  if (delay.count() > 0) {
    if (lanes_.empty()) {
      due += delay;
    } else {
      auto const lane = std::min_element(lanes_.begin(), lanes_.end());
      due = *lane = std::max(*lane, now) + delay;
    }
  }
  if (bandwidth_ > 0 && range.size > 0) {
    auto const took = std::chrono::nanoseconds(range.size * 1'000'000'000 / bandwidth_);
    due = line_free_ = std::max(line_free_, due) + took;
  }
  if (for_bytes && stall_every_ > 0 && ++stall_count_ % stall_every_ == 0) due += stall_;
  return due;
}

void OriginClerk::Run() {
  std::unique_lock lock(mu_);
  while (true) {
    if (late_.empty()) {
      if (stop_) return;
      wake_.wait(lock);
    } else if (auto const first = late_.begin(); stop_ || first->first <= Clock::now()) {
      Work const work = std::move(first->second);
      late_.erase(first);
      lock.unlock();
      work();
      lock.lock();
    } else {
      Time const due = first->first;
      wake_.wait_until(lock, due);
    }
  }
}

int OriginClerk::Failure(const std::string& path) {
  if (int const absence = absence_) return absence;
  std::lock_guard const lock(mu_);
  auto const found = fail_.find(path);
  return found == fail_.end() ? 0 : found->second;
}

uint64_t OriginClerk::Granted(const std::string& path, ReadRange range, uint64_t file_size) {
  std::lock_guard const lock(mu_);
  uint64_t size = range.size;
  if (cut_.count(path) != 0) {
    uint64_t const end = file_size / 2;
    size = range.offset >= end ? 0 : std::min(size, end - range.offset);
  }
  if (short_.count(path) != 0 && size > 1) size /= 2;
  return size;
}

std::string OriginClerk::Counters() const {
  std::ostringstream out;
  for (size_t i = 0; i < kRequestKindCount; i++) {
    out << (i > 0 ? ", \"" : "{\"") << kKindName[i] << "\": " << counts_[i];
  }
  out << ", \"first_reads\": " << first_reads_ << ", \"bytes\": " << bytes_
      << ", \"hung\": " << hung_.size() << ", \"most_at_once\": " << most_at_once_ << "}";
  return out.str();
}

void OriginClerk::ReleaseAll() {
  for (Work& work : hung_) late_.emplace(Time(), std::move(work));
  hung_.clear();
  wake_.notify_one();
}

std::string OriginClerk::Command(const std::string& line) {
  std::istringstream in(line);
  std::string verb, first, second;
  in >> verb >> first >> second;
  std::string const path = Decoded(first);
  std::lock_guard const lock(mu_);
  if (verb == "counters") return Counters();
  if (verb == "opened") return std::to_string(opened_[path]);
  if (verb == "release") {
    hang_all_ = false;
    hang_.clear();
    hang_contents_.clear();
    ReleaseAll();
    return "ok";
  }
  if (verb == "heal") {
    absence_ = 0;
    fail_.clear();
    short_.clear();
    cut_.clear();
    return "ok";
  }
  if (first.empty()) return "error: no argument, or no such command: " + verb;
  if (verb == "hang" && first == "*") {
    hang_all_ = true;
  } else if (verb == "hang") {
    hang_.insert(path);
  } else if (verb == "hang_contents") {
    hang_contents_.insert(path);
  } else if (verb == "short") {
    short_.insert(path);
  } else if (verb == "cut") {
    cut_.insert(path);
  } else if (verb == "vanish") {
    absence_ = std::stoi(first);
  } else if (verb == "stall") {
    stall_ = std::chrono::milliseconds(std::stoll(first));
    stall_every_ = stall_.count() == 0 ? 0 : second.empty() ? 1 : std::stoull(second);
  } else if (verb == "fail") {
    fail_[Decoded(second)] = std::stoi(first);
  } else if (verb == "delay_us") {
    delay_ = std::chrono::microseconds(std::stoll(first));
  } else if (verb == "open_delay_us") {
    open_delay_ = std::chrono::microseconds(std::stoll(first));
  } else if (verb == "first_read_delay_us") {
    first_read_delay_ = std::chrono::microseconds(std::stoll(first));
  } else if (verb == "page_cache") {
    page_cache_ = std::stoi(first) != 0;
  } else if (verb == "meta_delay_us") {
    meta_delay_ = std::chrono::microseconds(std::stoll(first));
  } else if (verb == "bandwidth") {
    bandwidth_ = std::stoull(first);
  } else if (verb == "parallel") {
    lanes_.assign(std::stoull(first), Time());
  } else {
    return "error: no such command: " + verb;
  }
  return "ok";
}

void OriginClerk::Stop() {
  {
    std::lock_guard const lock(mu_);
    stop_ = true;
    ReleaseAll();
  }
  thread_.join();
}

}  // namespace stokefs::support
