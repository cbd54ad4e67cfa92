#include "hints/hint_session.h"

#include <cerrno>
#include <utility>

#include "cache/digest.h"

namespace stokefs::hints {
namespace {

constexpr const char* kUsage =
    "importance PATH VALUE | importance #INDEX VALUE | epoch JOB N | pin PATH | unpin PATH | "
    "job NAME root=DIR | {\"importance\": {PATH: VALUE, ...}}\n";

uint64_t DigestOf(std::string_view bytes) {
  return cache::DigestOf(std::as_bytes(std::span(bytes)));
}

}  // namespace

void HintSession::Write(std::string_view bytes, Answer answer) {
  Take({.bytes = std::string(bytes), .is_end = false, .answer = std::move(answer)});
}

void HintSession::Flush(Answer answer) {
  Take({.bytes = {}, .is_end = true, .answer = std::move(answer)});
}

std::string HintSession::Text() const {
  base::MutexLock lock(mu_);
  return refusal_.empty() ? kUsage : refusal_;
}

void HintSession::Take(Request request) {
  const Request* first = nullptr;
  {
    base::MutexLock lock(mu_);
    requests_.push_back(std::move(request));
    if (requests_.size() > 1) return;  // who judges the first goes on with it
    first = &requests_.front();        // stays where it is until it is finished
  }
  Begin(*first);
  Go();
}

void HintSession::Begin(const Request& request) {
  is_again_ = failed_ && !request.is_end && DigestOf(request.bytes) == *failed_;
  if (is_again_) return;
  failed_.reset();
  began_in_line_ = parser_.IsInLine();
  parser_.Feed(request.bytes);
  if (request.is_end) parser_.End();
}

// Answers the first request; false when no other waits.
bool HintSession::Finish(int error) {
  Request done;
  const Request* next = nullptr;
  {
    base::MutexLock lock(mu_);
    done = std::move(requests_.front());
    if (error != 0 && !done.is_end && !is_again_ && (began_in_line_ || parser_.IsInLine())) {
      failed_ = DigestOf(done.bytes);
    }
    requests_.pop_front();
    if (!requests_.empty()) next = &requests_.front();
  }
  done.answer(error);
  if (next == nullptr) return false;
  Begin(*next);
  return true;
}

// Until all requests are answered, or a hint has to wait.
void HintSession::Go() {
  while (true) {
    if (is_again_) {
      if (!Finish(EINVAL)) return;
      continue;
    }
    auto const hint = parser_.Next();
    if (hint) {
      hint_ = *hint;
      if (!JudgeOne()) return;
    } else if (!Finish(0)) {
      return;
    }
  }
}

// False: somebody else goes on, or there is nothing to go on with. Nothing may be touched then.
bool HintSession::JudgeOne() {
  auto const status = book_.Judge(hint_, job_, shared_from_this());
  return status && Settle(*status);
}

bool HintSession::Settle(const base::Status& status) {
  if (status) {
    book_.CountAccepted();
    return true;
  }
  book_.Refuse(parser_.Line(), status.error().message);
  {
    base::MutexLock lock(mu_);
    refusal_ = "line " + std::to_string(parser_.Line()) + ": " +
               std::string(status.error().message) + "\n";
  }
  parser_.Drop();
  return Finish(EINVAL);
}

void HintSession::OnJudged(base::Status status) {
  if (Settle(status)) Go();
}

void HintSession::JudgeAgain() {
  if (JudgeOne()) Go();
}

}  // namespace stokefs::hints
