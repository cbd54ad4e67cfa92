#include "tools/hint_conversation.h"

namespace stokefs::tools {

std::unique_ptr<hints::HintBook> MakeHintBook(const std::string& dataset_folder, cache::Pins* pins,
                                              cache::Catalog& catalog, base::Journal& journal,
                                              cache::ImportanceListener& listener) {
  hints::HintBook::Options options{.file = dataset_folder + "/importance"};
  if (pins != nullptr) {
    options.pin = [pins](const std::string& path) { return pins->Add({path}); };
    options.unpin = [pins](const std::string& path) { return pins->Remove({path}); };
  }
  return std::make_unique<hints::HintBook>(std::move(options), catalog, journal, &listener);
}

fs::ControlFile HintsFile(hints::HintBook& book) {
  return {.name = "hints",
          .render = {},
          .converse = [&book] { return std::make_unique<HintConversation>(book); },
          .permissions = 0644};
}

}  // namespace stokefs::tools
