// The way by io_uring: one thread owns the ring. It takes pieces from the queue, has the kernel
// read each into a buffer that is registered with the ring, copies out what comes and tells the
// readers.
//
// Submitters only queue and, when that thread sleeps with buffers to spare, write to an eventfd
// that the ring reads like a file. So a disk that hangs holds up that thread at most, and nobody
// else. The kernel's writes into the buffers are seen by that thread alone.
#include <liburing.h>
#include <sys/eventfd.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstring>
#include <thread>
#include <utility>

#include "base/aligned_buffer.h"
#include "base/bandwidth_meter.h"
#include "base/block_reader.h"
#include "base/check.h"
#include "base/executor.h"
#include "base/read_queue.h"
#include "base/sync.h"

namespace stokefs::base {
namespace {

// Holds a block of 112 KiB at any offset in one piece, and is what many SSDs read at once.
constexpr size_t kPieceBytesMax = 128u << 10;

// Answers before the ring is fed again: enough to spare system calls, few enough that the first
// does not wait long for the copies of the others (8 of 128 KiB: about 100 µs).
constexpr size_t kReapCountMax = 8;

constexpr uint64_t kWakeUp = ~uint64_t{0};  // user data of the eventfd's read; else a slot's index

class UringBlockReader final : public BlockReader {
 public:
  UringBlockReader(Options options, size_t slot_count)
      : options_(std::move(options)),
        memory_(slot_count * kPieceBytesMax),
        slots_(slot_count),
        queue_({.reads_max = options_.reads_max,
                .piece_bytes_max = kPieceBytesMax,
                .background_pieces_max = (slot_count + 3) / 4}) {
    for (size_t i = slot_count; i > 0; --i) free_slots_.push_back(i - 1);
  }

  Status Open() {
    wake_up_ = UniqueFd(eventfd(0, EFD_CLOEXEC));
    if (!wake_up_.Valid()) return FailErrno(errno, "eventfd");
    // One entry a slot, one for the eventfd.
    int const made = io_uring_queue_init(static_cast<unsigned>(slots_.size()) + 1, &ring_, 0);
    if (made < 0) return FailErrno(-made, "io_uring_setup");
    has_ring_ = true;
    iovec const all{.iov_base = memory_.bytes().data(), .iov_len = memory_.bytes().size()};
    int const registered = io_uring_register_buffers(&ring_, &all, 1);
    is_registered_ = registered == 0;
    if (!is_registered_) {
      name_ += std::string(" (buffers not registered: ") + strerror(-registered) + ")";
    }
    try {
      thread_ = std::thread([this] { Run(); });
    } catch (const std::system_error& failure) {
      return FailErrno(failure.code().value(), "io_uring's thread");
    }
    return {};
  }

  ~UringBlockReader() override {
    if (thread_.joinable()) Stop(std::chrono::hours(24));
    if (has_ring_) io_uring_queue_exit(&ring_);
  }

  void Submit(std::vector<BlockRead> reads) override EXCLUDES(mu_) {
    std::vector<BlockRead> refused;
    std::errc code = std::errc::resource_unavailable_try_again;
    bool must_wake = false;
    {
      MutexLock lock(mu_);
      if (stopping_) {
        code = std::errc::operation_canceled;
        refused = std::move(reads);
      } else {
        refused = queue_.Add(std::move(reads));
        NoteProgress(0);
        must_wake = std::exchange(wants_wake_up_, false);
      }
    }
    if (must_wake) WakeUp();
    for (BlockRead& read : refused) read.done(Fail(code, "read queue"));
  }

  ReaderLoad Load() const override EXCLUDES(mu_) {
    MutexLock lock(mu_);
    return {
        .reads = queue_.reads(), .bytes = queue_.bytes(), .bytes_per_s = meter_.BytesPerSecond()};
  }

  const std::string& Name() const override { return name_; }

  bool Stop(std::chrono::milliseconds limit) override EXCLUDES(mu_) {
    std::vector<AnsweredRead> answered;
    {
      MutexLock lock(mu_);
      stopping_ = true;
      queue_.CancelWaiting(std::errc::operation_canceled, answered);
    }
    TellAll(std::move(answered));
    WakeUp();
    auto const end = std::chrono::steady_clock::now() + limit;
    {
      MutexLock lock(mu_);
      while (!ended_) {
        auto const left = end - std::chrono::steady_clock::now();
        if (left <= left.zero()) return false;
        ended_signal_.WaitFor(mu_, left);
      }
    }
    // Here, because nobody destroys us where another thread is stuck.
    MutexLock lock(join_mu_);
    if (thread_.joinable()) thread_.join();
    return true;
  }

 private:
  // A piece in the kernel's hands.
  struct Slot {
    DevicePiece piece;
    size_t got = 0;  // bytes, from the piece's offset on
  };

  struct Ended {
    size_t slot = 0;
    DevicePiece piece;
    Result<size_t> got;
  };

  void WakeUp() {
    uint64_t const one = 1;
    // Cannot fail: the counter is read each time, and a signal cannot interrupt what does not wait.
    [[maybe_unused]] ssize_t const put = write(wake_up_.Get(), &one, sizeof(one));
  }

  void Run() {
    PrepareThread(options_.name + "-ring");
    AskForWakeUp();
    std::vector<Ended> ended;
    do {
      std::vector<AnsweredRead> answered = Exchange(ended);
      ended.clear();  // lets go of the files
      // The kernel has its next pieces before the readers of the last ones are told.
      if (!answered.empty()) {
        SubmitPieces(0);
        TellAll(std::move(answered));
      }
      if (!IsDone()) {
        SubmitPieces(1);
        Reap(ended);
      }
    } while (!IsDone());
    MutexLock lock(mu_);
    ended_ = true;
    ended_signal_.SignalAll();
  }

  bool IsDone() EXCLUDES(mu_) {
    MutexLock lock(mu_);
    return stopping_ && free_slots_.size() == slots_.size();
  }

  // Gives back the slots that have ended and fills free ones.
  std::vector<AnsweredRead> Exchange(const std::vector<Ended>& ended) EXCLUDES(mu_) {
    std::vector<AnsweredRead> answered;
    std::vector<size_t> filled;
    {
      MutexLock lock(mu_);
      for (Ended const& each : ended) {
        queue_.Finish(each.piece, each.got, answered);
        NoteProgress(each.got ? *each.got : 0);
        free_slots_.push_back(each.slot);
      }
      while (!free_slots_.empty()) {
        std::optional<DevicePiece> piece = queue_.Take();
        if (!piece) break;
        filled.push_back(free_slots_.back());
        free_slots_.pop_back();
        slots_[filled.back()] = {.piece = std::move(*piece)};
      }
      wants_wake_up_ = !free_slots_.empty();
    }
    for (size_t slot : filled) Prepare(slot);
    return answered;
  }

  std::span<std::byte> BufferOf(size_t slot) {
    return memory_.bytes().subspan(slot * kPieceBytesMax, kPieceBytesMax);
  }

  void Prepare(size_t index) {
    Slot const& slot = slots_[index];
    io_uring_sqe* const entry = NextEntry();
    std::byte* const into = BufferOf(index).data() + slot.got;
    auto const bytes = static_cast<unsigned>(slot.piece.bytes - slot.got);
    uint64_t const offset = slot.piece.offset + slot.got;
    if (is_registered_) {
      io_uring_prep_read_fixed(entry, slot.piece.Descriptor(), into, bytes, offset, 0);
    } else {
      io_uring_prep_read(entry, slot.piece.Descriptor(), into, bytes, offset);
    }
    io_uring_sqe_set_data64(entry, index);
  }

  void AskForWakeUp() {
    io_uring_sqe* const entry = NextEntry();
    io_uring_prep_read(entry, wake_up_.Get(), &wake_up_count_, sizeof(wake_up_count_), 0);
    io_uring_sqe_set_data64(entry, kWakeUp);
  }

  // There is an entry for each slot and the eventfd, and none is asked for twice.
  io_uring_sqe* NextEntry() {
    io_uring_sqe* const entry = io_uring_get_sqe(&ring_);
    STOKEFS_CHECK(entry != nullptr);
    return entry;
  }

  void SubmitPieces(unsigned wait_count) {
    int const submitted = io_uring_submit_and_wait(&ring_, wait_count);
    // The kernel is short of memory: what was not taken stays in the ring for the next call.
    if (submitted < 0 && submitted != -EINTR && wait_count > 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

  void Reap(std::vector<Ended>& ended) {
    io_uring_cqe* entry = nullptr;
    while (ended.size() < kReapCountMax && io_uring_peek_cqe(&ring_, &entry) == 0) {
      uint64_t const data = io_uring_cqe_get_data64(entry);
      int const result = entry->res;
      io_uring_cqe_seen(&ring_, entry);
      if (data == kWakeUp) {
        AskForWakeUp();
        continue;
      }
      Slot& slot = slots_[data];
      if (result == -EINTR || GoesOn(slot, result)) {
        Prepare(data);
      } else if (result < 0) {
        ended.push_back(
            {.slot = data, .piece = std::move(slot.piece), .got = FailErrno(-result, "read")});
      } else {
        ReadQueue::CopyOut(slot.piece, BufferOf(data).first(slot.got));
        ended.push_back({.slot = data, .piece = std::move(slot.piece), .got = slot.got});
      }
    }
  }

  // Adds what came, and says whether there is more to come.
  static bool GoesOn(Slot& slot, int result) {
    if (result <= 0) return false;
    slot.got += static_cast<size_t>(result);
    // Off the grid is the end of the file, and O_DIRECT would refuse to go on from here.
    if (slot.piece.IsDirect() && slot.got % kDirectAlignment != 0) return false;
    return slot.got < slot.piece.bytes_needed;
  }

  void NoteProgress(uint64_t bytes) REQUIRES(mu_) {
    meter_.Update(std::chrono::steady_clock::now(), bytes, queue_.reads() > 0);
  }

  const Options options_;
  std::string name_ = "io_uring";  // constant after Open, as are the next three
  UniqueFd wake_up_;
  bool is_registered_ = false;
  bool has_ring_ = false;

  // The ring's thread's own.
  io_uring ring_{};
  AlignedBuffer memory_;
  std::vector<Slot> slots_;
  uint64_t wake_up_count_ = 0;  // what the eventfd holds; never looked at

  mutable Mutex mu_;
  CondVar ended_signal_;
  ReadQueue queue_ GUARDED_BY(mu_);
  BandwidthMeter meter_ GUARDED_BY(mu_);
  std::vector<size_t> free_slots_ GUARDED_BY(mu_);
  bool wants_wake_up_ GUARDED_BY(mu_) = false;  // the ring's thread sleeps or is about to
  bool stopping_ GUARDED_BY(mu_) = false;
  bool ended_ GUARDED_BY(mu_) = false;

  Mutex join_mu_;       // held while the thread is joined, by whoever stops first
  std::thread thread_;  // last: starts when everything above stands
};

}  // namespace

Result<std::unique_ptr<BlockReader>> MakeUringReader(BlockReader::Options options) {
  size_t const slot_count = options.buffer_bytes / kPieceBytesMax;
  STOKEFS_CHECK(slot_count > 0);
  auto reader = std::make_unique<UringBlockReader>(std::move(options), slot_count);
  if (Status opened = reader->Open(); !opened) return tl::unexpected(std::move(opened.error()));
  return std::unique_ptr<BlockReader>(std::move(reader));
}

}  // namespace stokefs::base
