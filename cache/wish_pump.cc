#include "cache/wish_pump.h"

#include <utility>

#include "base/executor.h"

namespace stokefs::cache {

WishPump::WishPump(Options options, MemoryTier& memory, EpochReplacement& replacement,
                   Prefetch prefetch, const base::Clock& clock)
    : options_(options),
      memory_(memory),
      replacement_(replacement),
      prefetch_(std::move(prefetch)),
      clock_(clock),
      thread_([this] { Run(); }) {}

WishPump::~WishPump() { Stop(); }

void WishPump::Stop() {
  {
    base::MutexLock lock(mu_);
    stopping_ = true;
    changed_.SignalAll();
  }
  if (thread_.joinable()) thread_.join();
}

void WishPump::Poke() {
  base::MutexLock lock(mu_);
  if (!std::exchange(poked_, true)) changed_.SignalAll();
}

void WishPump::Run() {
  base::PrepareThread("epoch-wishes");
  for (;;) {
    std::vector<Ended> ended;
    bool poked = false;
    {
      base::MutexLock lock(mu_);
      while (!stopping_ && !poked_ && (ended_.empty() || 2 * ended_.size() < asked_count_))
        changed_.Wait(mu_);
      if (stopping_) return;
      ended.swap(ended_);
      asked_count_ -= ended.size();
      poked = std::exchange(poked_, false);
    }
    Round(std::move(ended), poked);
  }
}

void WishPump::Round(std::vector<Ended> ended, bool poked) {
  if (poked) {  // once each: some may fit where another did not
    is_full_ = false;
    pending_.insert(pending_.end(), short_.begin(), short_.end());
    short_.clear();
  }
  for (Ended const& end : ended) {
    auto const found = under_way_.find(end.key);
    under_way_bytes_ -= found->second;
    under_way_.erase(found);
  }
  std::vector<BlockKey> keys;
  memory_.Steer([&] {
    EpochSteering* const steering = replacement_.steering();
    if (steering == nullptr) return;
    Settle(*steering, ended);
    if (!is_full_) Choose(*steering, keys);
  });
  if (!keys.empty()) Ask(keys);
}

void WishPump::Settle(EpochSteering& steering, const std::vector<Ended>& ended) {
  base::TimePoint const now = clock_.Now();
  auto const give_up = [&](BlockKey key) {  // of no consequence for what came
    if (auto const sample = steering.map->Find(key)) steering.policy.OnWishDropped(*sample);
  };
  for (Ended const& end : ended) {
    bool const lacked_room = end.error == std::errc::not_enough_memory;
    if (lacked_room)
      short_.push_back(end.key);
    else if (end.error == std::errc{})
      give_up(end.key);
    else
      failed_.push_back({end.key, now});
  }
  for (; !failed_.empty() && now - failed_.front().when > options_.failed_pause;
       failed_.pop_front())
    give_up(failed_.front().key);
}

void WishPump::Choose(EpochSteering& steering, std::vector<BlockKey>& keys) {
  const SampleMap& map = *steering.map;
  while (under_way_bytes_ < options_.under_way_bytes_max) {
    if (pending_.empty()) {
      if (!steering.policy.NextWish(wish_)) return;
      for (SampleIndex const sample : wish_.samples) pending_.push_back(map.KeyOf(sample));
    }
    BlockKey const key = pending_.front();
    pending_.pop_front();
    auto const sample = map.Find(key);  // of another version: nobody wishes for it any more
    if (!sample || steering.policy.PlaceOf(*sample) != EpochPolicy::Place::kComing) continue;
    uint64_t const bytes = map.shape().SizeOf(*sample);
    if (!under_way_.emplace(key, bytes).second) continue;
    under_way_bytes_ += bytes;
    keys.push_back(key);
  }
}

void WishPump::Ask(const std::vector<BlockKey>& keys) {
  {
    base::MutexLock lock(mu_);
    asked_count_ += keys.size();
  }
  size_t const taken_count =
      prefetch_(keys, RoomRule::kSpentRoom, [this](BlockKey key, base::Status status) {
        base::MutexLock lock(mu_);
        ended_.push_back({key, status ? std::errc{} : status.error().code});
        if (2 * ended_.size() >= asked_count_) changed_.SignalAll();
      });
  if (taken_count == keys.size()) return;
  for (size_t i = keys.size(); i-- > taken_count;) {
    auto const found = under_way_.find(keys[i]);
    under_way_bytes_ -= found->second;
    under_way_.erase(found);
    pending_.push_front(keys[i]);
  }
  is_full_ = true;  // the queue is full: until the next poke
  base::MutexLock lock(mu_);
  asked_count_ -= keys.size() - taken_count;
}

}  // namespace stokefs::cache
