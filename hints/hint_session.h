// One open handle of the control file `hints`: its text, taken hint by hint.
//
// A write that holds a bad line is answered EINVAL, and what stands behind that line is dropped;
// the hints before it hold. Calls never wait: an answer may come later, on another thread. Calls
// that come meanwhile are taken in order. Thread-safe.
//
// The kernel cuts write(2) into pieces. When one of them fails after others did not, the caller
// learns of a short write, and comes again with the piece that failed: it is known by its bytes,
// and fails again without being judged or counted twice.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/sync.h"
#include "hints/hint_book.h"
#include "hints/hint_parser.h"

namespace stokefs::hints {

class HintSession final : public HintWaiter, public std::enable_shared_from_this<HintSession> {
 public:
  using Answer = std::function<void(int)>;  // 0 or an errno; called once, or let die unanswered

  explicit HintSession(HintBook& book) : book_(book) {}  // outlives this

  void Write(std::string_view bytes, Answer answer) EXCLUDES(mu_);
  // A line without its break is judged as it stands.
  void Flush(Answer answer) EXCLUDES(mu_);
  // Why the last bad line was bad, "line N: REASON\n"; else how hints are written.
  std::string Text() const EXCLUDES(mu_);

  void OnJudged(base::Status status) override;
  void JudgeAgain() override;

 private:
  struct Request {
    std::string bytes;
    bool is_end = false;
    Answer answer;
  };

  void Take(Request request) EXCLUDES(mu_);
  // These by one thread at a time: whoever took the first request, or whom a hint waited for.
  void Begin(const Request& request);
  bool Finish(int error) EXCLUDES(mu_);
  void Go();
  bool JudgeOne();
  bool Settle(const base::Status& status) EXCLUDES(mu_);

  HintBook& book_;
  HintParser parser_;
  Hint hint_;        // under judgement
  std::string job_;  // chosen
  bool is_again_ = false, began_in_line_ = false;
  std::optional<uint64_t> failed_;  // of a piece that may come again

  mutable base::Mutex mu_;                        // a leaf
  std::deque<Request> requests_ GUARDED_BY(mu_);  // the first is under judgement
  std::string refusal_ GUARDED_BY(mu_);
};

}  // namespace stokefs::hints
