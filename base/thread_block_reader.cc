// The way by threads: as many calls of pread as there is work for, each into a buffer of its own.
#include <cerrno>
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

class ThreadBlockReader final : public BlockReader {
 public:
  ThreadBlockReader(Options options, const std::string& reason)
      : options_(std::move(options)),
        name_(reason.empty() ? "threads" : "threads (" + reason + ")"),
        piece_bytes_max_(AlignDown(options_.buffer_bytes / options_.threads)),
        queue_({.reads_max = options_.reads_max,
                .piece_bytes_max = piece_bytes_max_,
                .background_pieces_max = (options_.threads + 3) / 4}),
        pool_({.name = options_.name + "-read",
               .threads_max = options_.threads,
               .queue_count_max = options_.threads}) {
    STOKEFS_CHECK(piece_bytes_max_ > 0);
  }

  ~ThreadBlockReader() override { Stop(std::chrono::hours(24)); }

  void Submit(std::vector<BlockRead> reads) override EXCLUDES(mu_) {
    std::vector<BlockRead> refused;
    std::vector<AnsweredRead> answered;
    std::errc code = std::errc::resource_unavailable_try_again;
    {
      MutexLock lock(mu_);
      if (stopping_) {
        code = std::errc::operation_canceled;
        refused = std::move(reads);
      } else {
        refused = queue_.Add(std::move(reads));
        NoteProgress(0);
        for (size_t i = queue_.WaitingCount(); i > 0 && StartPump(); --i) {
        }
        // The system has no thread to give, and none of ours will come back.
        if (pumps_ == 0) queue_.CancelWaiting(code, answered);
      }
    }
    for (BlockRead& read : refused) read.done(Fail(code, "read queue"));
    TellAll(std::move(answered));
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
    return pool_.Stop(limit);
  }

 private:
  // False when all threads that may be are at work, or none can be had.
  bool StartPump() REQUIRES(mu_) {
    if (pumps_ >= options_.threads || !queue_.CanTake()) return false;
    if (!pool_.TrySubmit([this] { Pump(); })) return false;
    ++pumps_;
    return true;
  }

  // Reads until there is nothing left to take.
  void Pump() EXCLUDES(mu_) {
    AlignedBuffer buffer;
    for (;;) {
      std::optional<DevicePiece> piece;
      {
        MutexLock lock(mu_);
        piece = queue_.Take();
        if (!piece) {
          --pumps_;
          if (!buffer.bytes().empty()) spare_buffers_.push_back(std::move(buffer));
          return;
        }
        if (buffer.bytes().empty() && !spare_buffers_.empty()) {
          buffer = std::move(spare_buffers_.back());
          spare_buffers_.pop_back();
        }
        StartPump();  // for the pieces behind this one
      }
      if (buffer.bytes().empty()) buffer = AlignedBuffer(piece_bytes_max_);
      Read(std::move(*piece), buffer.bytes());
    }
  }

  void Read(DevicePiece piece, std::span<std::byte> buffer) EXCLUDES(mu_) {
    std::span<std::byte> const place = ReadQueue::PlaceOf(piece);
    Result<size_t> const got = Transfer(piece, place.empty() ? buffer.first(piece.bytes) : place);
    if (place.empty() && got) ReadQueue::CopyOut(piece, buffer.first(*got));
    std::vector<AnsweredRead> answered;
    {
      MutexLock lock(mu_);
      queue_.Finish(piece, got, answered);
      NoteProgress(got ? *got : 0);
    }
    piece.joined.reset();  // lets go of the file
    TellAll(std::move(answered));
  }

  Result<size_t> Transfer(const DevicePiece& piece, std::span<std::byte> into) {
    size_t done = 0;
    while (done < piece.bytes_needed) {
      ssize_t const got = options_.read(piece.Descriptor(), into.data() + done, into.size() - done,
                                        static_cast<off_t>(piece.offset + done));
      if (got == 0) break;
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return FailErrno(errno, "read");
      done += static_cast<size_t>(got);
      // Off the grid is the end of the file, and O_DIRECT would refuse to go on from here.
      if (piece.IsDirect() && done % kDirectAlignment != 0) break;
    }
    return done;
  }

  void NoteProgress(uint64_t bytes) REQUIRES(mu_) {
    meter_.Update(std::chrono::steady_clock::now(), bytes, queue_.reads() > 0);
  }

  const Options options_;
  const std::string name_;
  const size_t piece_bytes_max_;

  mutable Mutex mu_;
  ReadQueue queue_ GUARDED_BY(mu_);
  BandwidthMeter meter_ GUARDED_BY(mu_);
  size_t pumps_ GUARDED_BY(mu_) = 0;  // at work or about to be; each holds one buffer at most
  std::vector<AlignedBuffer> spare_buffers_ GUARDED_BY(mu_);
  bool stopping_ GUARDED_BY(mu_) = false;

  ThreadPool pool_;  // last: its threads use all of the above
};

}  // namespace

std::unique_ptr<BlockReader> MakeThreadReader(BlockReader::Options options,
                                              const std::string& reason) {
  return std::make_unique<ThreadBlockReader>(std::move(options), reason);
}

}  // namespace stokefs::base
