// What the daemon's answers to fsctl's steering commands say, for a person. Pure: JSON in, text
// out.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace stokefs::tools {

// One line without its break; empty: nothing worth one.
std::string RefreshProgressText(const nlohmann::ordered_json& progress);
std::string VerifyProgressText(const nlohmann::ordered_json& progress);
std::string WarmupProgressText(const nlohmann::ordered_json& progress);
std::string EvictProgressText(const nlohmann::ordered_json& progress);

// Lines.
std::string RefreshText(const nlohmann::ordered_json& result);
std::string VerifyText(const nlohmann::ordered_json& result);
std::string LocateText(const nlohmann::ordered_json& result);
std::string WarmupText(const nlohmann::ordered_json& result);
std::string WarmupStatusText(const nlohmann::ordered_json& result);
std::string EvictText(const nlohmann::ordered_json& result);
std::string PinsText(const nlohmann::ordered_json& result);

}  // namespace stokefs::tools
