#include "hints/worker_deal.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "base/check.h"

namespace stokefs::hints {

std::vector<uint32_t> WorkerPositions(const WorkerDeal& deal, uint32_t worker, uint32_t length) {
  STOKEFS_CHECK(deal.batch_size > 0 && worker < deal.workers);
  std::vector<uint32_t> positions;
  uint64_t const stride = uint64_t{deal.batch_size} * deal.workers;
  for (uint64_t batch = uint64_t{deal.batch_size} * worker; batch < length; batch += stride) {
    uint64_t const end = std::min<uint64_t>(batch + deal.batch_size, length);
    for (uint64_t at = batch; at < end; ++at) positions.push_back(static_cast<uint32_t>(at));
  }
  return positions;
}

namespace {

// From one reader's first batch and the jump after it.
WorkerDeal FromJump(const ReaderProgress& reader) {
  if (reader.jump == 0) return {};
  uint64_t const batch = reader.run_count;
  if ((reader.jump - 1) % batch != 0 || reader.first % batch != 0) return {};
  uint64_t const workers = (reader.jump - 1) / batch + 1;
  if (batch > UINT32_MAX || workers > UINT32_MAX || reader.first / batch >= workers) return {};
  return {static_cast<uint32_t>(batch), static_cast<uint32_t>(workers)};
}

// From where several readers began, before any has jumped.
WorkerDeal FromStarts(std::span<const ReaderProgress> readers) {
  uint64_t batch = 0;
  for (auto const& reader : readers) batch = std::gcd(batch, reader.first);
  if (batch == 0 || batch > UINT32_MAX) return {};
  for (auto const& reader : readers) {
    if (reader.run_count > batch || reader.first / batch >= readers.size()) return {};
  }
  return {static_cast<uint32_t>(batch), static_cast<uint32_t>(readers.size())};
}

}  // namespace

WorkerDeal InferDeal(std::span<const ReaderProgress> readers) {
  if (readers.empty()) return {};
  if (readers.size() == 1 && readers[0].jump == 0) return {.batch_size = 0, .workers = 1};
  std::map<std::pair<uint32_t, uint32_t>, uint32_t> votes;
  for (auto const& reader : readers) {
    auto const deal = FromJump(reader);
    if (deal.workers >= readers.size()) ++votes[{deal.batch_size, deal.workers}];
  }
  if (votes.empty()) return readers.size() > 1 ? FromStarts(readers) : WorkerDeal{};
  auto const most = std::max_element(votes.begin(), votes.end(),
                                     [](auto& a, auto& b) { return a.second < b.second; });
  return {most->first.first, most->first.second};
}

}  // namespace stokefs::hints
