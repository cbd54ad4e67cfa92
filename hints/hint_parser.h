// Bytes in, hints out: the text of one open handle, in whatever pieces it comes.
//
// Pure. Pieces are fed and hints taken in turn, so that whoever judges them may stop in between.
// What comes out does not depend on where the text is cut (BadHints' reasons neither). From one
// piece to the next it holds at most kWordsBytesMax bytes of a line, or of a member of a JSON line.
// Not thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "hints/hint.h"
#include "hints/json_line.h"

namespace stokefs::hints {

class HintParser {
 public:
  // A path of 4096 bytes with each of them escaped, and the words around it.
  static constexpr size_t kWordsBytesMax = 16384;

  // More of the text; lives until Next has given nothing. Only then may the next be fed.
  void Feed(std::string_view bytes) { input_ = bytes; }
  // The text ends here for now: a line without a line break is whole.
  void End() { ending_ = true; }

  // The next hint, or what is wrong with a line; none when all that was fed is used up. Of a line
  // that is bad nothing more comes out, and its rest is skipped.
  std::optional<Hint> Next();

  // The line of the last hint, from 1.
  uint64_t Line() const { return line_; }
  // Drops what was fed and not taken. What is fed next begins a line; but of a bad line that has
  // not ended yet it is the rest, which is skipped.
  void Drop();
  // Whether what is fed next goes on with a line.
  bool IsInLine() const { return state_ != State::kLineStart; }

 private:
  // kLineStart -> kPlain | kJson -> kLineStart, or -> kSkip (bad) -> kLineStart.
  enum class State : uint8_t { kLineStart, kPlain, kJson, kSkip };

  std::optional<Hint> NextOfLine();
  std::optional<Hint> TakePlain();
  std::optional<Hint> TakeJson();
  Hint Bad(std::string reason);
  void EndLine();

  std::string_view input_;
  bool ending_ = false;
  State state_ = State::kLineStart;
  uint64_t line_ = 0;
  bool line_ended_ = false;  // of kJson: its members are taken, its end is not
  std::string held_;         // of a plain line that began in an earlier piece
  std::string spent_;        // what held_ was: the last hint's words are in it
  std::string path_, reason_;
  JsonLine json_{kWordsBytesMax};
};

// One plain line without its break. `path` is where a word with escapes is put. An empty line, or
// one of blanks, is none.
std::optional<Hint> ParsePlainLine(std::string_view line, std::string& path, std::string& reason);

// A PATH as lines have it. False: a "%" that two hex digits do not follow, or a byte that must be
// escaped. `reason` says which.
bool Unescape(std::string_view word, std::string& path, std::string& reason);

// A key of a JSON line: PATH or #INDEX; blanks and control bytes may stand in it as they are.
std::optional<HintTarget> ParseJsonKey(std::string_view key, std::string& path,
                                       std::string& reason);

}  // namespace stokefs::hints
