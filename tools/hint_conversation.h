// The control file `hints`: a HintSession as the control mount knows it.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "base/journal.h"
#include "cache/catalog.h"
#include "cache/pins.h"
#include "fs/control_conversation.h"
#include "fs/control_mount.h"
#include "hints/hint_session.h"

namespace stokefs::tools {

// The session outlives the handle while a hint waits to be judged. Thread-safe.
class HintConversation final : public fs::ControlConversation {
 public:
  explicit HintConversation(hints::HintBook& book)
      : session_(std::make_shared<hints::HintSession>(book)) {}

  void TakeWrite(std::string_view bytes, fs::ControlAnswer answer) override {
    session_->Write(bytes, std::move(answer));
  }
  void TakeFlush(fs::ControlAnswer answer) override { session_->Flush(std::move(answer)); }
  std::string Read() override { return session_->Text(); }

 private:
  const std::shared_ptr<hints::HintSession> session_;
};

// Keeps importances in `dataset_folder`. All outlive it; without `pins` (no disk) none can be made.
std::unique_ptr<hints::HintBook> MakeHintBook(const std::string& dataset_folder, cache::Pins* pins,
                                              cache::Catalog& catalog, base::Journal& journal,
                                              cache::ImportanceListener& listener);

// The file in the control mount; `book` outlives it.
fs::ControlFile HintsFile(hints::HintBook& book);

}  // namespace stokefs::tools
