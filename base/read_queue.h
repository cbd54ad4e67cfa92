// What a block reader has still to read: joined where ranges lie close together, cut into pieces
// that fit a buffer, demand first.
//
//     Add ─> waiting (parts of one file, joined) ─Take─> a piece in some thread's hands ─Finish─>
//     done
//
// Not thread-safe but for CopyOut: its owner's mutex guards it. Never calls `done`; it hands out
// who is to be told what, so that the owner does so without the mutex.
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/block_reader.h"

namespace stokefs::base {

class JoinedRead;

// One read of the device.
struct DevicePiece {
  std::shared_ptr<JoinedRead> joined;
  uint64_t offset = 0;
  size_t bytes = 0;         // to ask for; on the grid if the file is direct
  size_t bytes_needed = 0;  // of these; fewer only where the file ends
  size_t first_part = 0;

  int Descriptor() const;
  bool IsDirect() const;
};

struct AnsweredRead {
  std::function<void(Status)> done;
  Status status;
};

// Calls each `done`.
void TellAll(std::vector<AnsweredRead> answered);

class ReadQueue {
 public:
  struct Options {
    size_t reads_max = 0;  // added and not answered
    size_t piece_bytes_max = 0;
    size_t background_pieces_max = 0;  // taken and not finished
  };
  explicit ReadQueue(Options options) : options_(options) {}

  // Returns those for which there was no room.
  std::vector<BlockRead> Add(std::vector<BlockRead> reads);

  // What to read next; none also while background reads hold all that they may.
  std::optional<DevicePiece> Take();
  bool CanTake() const;
  size_t WaitingCount() const;  // joined reads

  // The memory that a piece can be read into without a copy; empty if there is none.
  static std::span<std::byte> PlaceOf(const DevicePiece& piece);
  // Copies what `bytes`, the piece's from its offset on, holds of each part. Without the mutex.
  static void CopyOut(const DevicePiece& piece, std::span<const std::byte> bytes);
  // `got`: how many bytes came from the piece's offset on.
  void Finish(const DevicePiece& piece, const Result<size_t>& got,
              std::vector<AnsweredRead>& answered);

  // Gives up all that was not taken. Reads of which a piece was taken are answered when it ends.
  void CancelWaiting(std::errc code, std::vector<AnsweredRead>& answered);

  size_t reads() const { return reads_; }
  uint64_t bytes() const { return bytes_; }

 private:
  std::deque<std::shared_ptr<JoinedRead>>& Waiting(ReadPriority priority) {
    return waiting_[static_cast<size_t>(priority)];
  }
  void Collect(JoinedRead& joined, size_t part, std::vector<AnsweredRead>& answered);

  const Options options_;
  std::array<std::deque<std::shared_ptr<JoinedRead>>, 2> waiting_;  // by priority
  size_t background_pieces_ = 0;
  size_t reads_ = 0;
  uint64_t bytes_ = 0;
};

}  // namespace stokefs::base
