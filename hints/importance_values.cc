#include "hints/importance_values.h"

#include <xxhash.h>

#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>

namespace stokefs::hints {
namespace {

constexpr std::string_view kMagic = "stokefs-importance 1 ";
constexpr size_t kDigitCount = 16;
constexpr size_t kEntryBytes = 20;
constexpr size_t kSlotsMin = 64;

std::string HeadOf(std::string_view body) {
  char digits[kDigitCount + 1];
  snprintf(digits, sizeof(digits), "%016llx",
           static_cast<unsigned long long>(XXH3_64bits(body.data(), body.size())));
  return std::string(kMagic) + digits + "\n";
}

}  // namespace

// The low bits of a hash are as good as any.
size_t ImportanceValues::SlotOf(cache::SampleId id) const {
  size_t const mask = slots_.size() - 1;
  size_t slot = id.low & mask;
  while (slots_[slot] != 0 && entries_[slots_[slot] - 1].id != id) slot = (slot + 1) & mask;
  return slot;
}

void ImportanceValues::Grow() {
  if (slots_.size() >= 2 * (entries_.size() + 1)) return;
  slots_.assign(slots_.empty() ? kSlotsMin : 2 * slots_.size(), 0);
  for (uint32_t place = 0; place < entries_.size(); ++place) {
    slots_[SlotOf(entries_[place].id)] = place + 1;
  }
}

std::optional<uint32_t> ImportanceValues::Find(cache::SampleId id) const {
  if (slots_.empty()) return std::nullopt;
  uint32_t const held = slots_[SlotOf(id)];
  return held == 0 ? std::nullopt : std::optional(held - 1);
}

std::optional<uint32_t> ImportanceValues::Set(const Entry& entry) {
  Grow();
  size_t const slot = SlotOf(entry.id);
  if (slots_[slot] == 0) {
    entries_.push_back(entry);
    slots_[slot] = static_cast<uint32_t>(entries_.size());
    return slots_[slot] - 1;
  }
  Entry& held = entries_[slots_[slot] - 1];
  if (held.value == entry.value && held.node == entry.node) return std::nullopt;
  held = entry;
  return slots_[slot] - 1;
}

void ImportanceValues::AddMissing(const std::vector<Entry>& entries) {
  for (const Entry& entry : entries) {
    if (!Find(entry.id)) Set(entry);
  }
}

double ImportanceValues::Average() const {
  double sum = 0;
  for (const Entry& entry : entries_) sum += double{entry.value};
  return entries_.empty() ? 0 : sum / static_cast<double>(entries_.size());
}

std::string ImportanceValues::Encode() const {
  std::string body(entries_.size() * kEntryBytes, '\0');
  char* out = body.data();
  for (const Entry& entry : entries_) {
    memcpy(out, &entry.id.high, 8);
    memcpy(out + 8, &entry.id.low, 8);
    memcpy(out + 16, &entry.value, 4);
    out += kEntryBytes;
  }
  return HeadOf(body) + body;
}

base::Result<std::vector<ImportanceValues::Entry>> ImportanceValues::Decode(
    std::string_view bytes) {
  size_t const head_bytes = kMagic.size() + kDigitCount + 1;
  if (bytes.size() < head_bytes || (bytes.size() - head_bytes) % kEntryBytes != 0 ||
      bytes.substr(0, head_bytes) != HeadOf(bytes.substr(head_bytes))) {
    return base::FailErrno(EBADMSG, "importances");
  }
  bytes.remove_prefix(head_bytes);
  std::vector<Entry> entries(bytes.size() / kEntryBytes);
  const char* in = bytes.data();
  for (Entry& entry : entries) {
    memcpy(&entry.id.high, in, 8);
    memcpy(&entry.id.low, in + 8, 8);
    memcpy(&entry.value, in + 16, 4);
    in += kEntryBytes;
    if (!std::isfinite(entry.value) || entry.value < 0) {
      return base::FailErrno(EBADMSG, "importances");
    }
  }
  return entries;
}

}  // namespace stokefs::hints
