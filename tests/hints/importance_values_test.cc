#include "hints/importance_values.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>

namespace stokefs::hints {
namespace {

cache::SampleId Id(uint64_t number) { return cache::MakeSampleId(std::to_string(number)); }

TEST(ImportanceValues, AgreesWithAMap) {
  std::mt19937 random(5);
  ImportanceValues values;
  std::map<cache::SampleId, float> model;
  for (int i = 0; i < 20000; ++i) {
    auto const id = Id(random() % 3000);
    auto const value = static_cast<float>(random() % 5);
    values.Set({id, cache::NodeId{1}, value});
    model[id] = value;
  }
  ASSERT_EQ(values.Entries().size(), model.size());
  double sum = 0;
  for (auto const& [id, value] : model) {
    auto const place = values.Find(id);
    ASSERT_TRUE(place);
    EXPECT_EQ(values.Entries()[*place].value, value);
    sum += double{value};
  }
  EXPECT_DOUBLE_EQ(values.Average(), sum / static_cast<double>(model.size()));
  EXPECT_FALSE(values.Find(Id(99999)));
}

TEST(ImportanceValues, TheSameAgainIsNoChange) {
  ImportanceValues values;
  EXPECT_EQ(values.Set({Id(1), cache::NodeId{2}, 1}), 0u);
  EXPECT_EQ(values.Set({Id(1), cache::NodeId{2}, 1}), std::nullopt);
  EXPECT_EQ(values.Set({Id(1), cache::NodeId{3}, 1}), 0u);
}

TEST(ImportanceValues, WhatIsKeptComesBackAndDamageIsSeen) {
  ImportanceValues values;
  for (uint64_t i = 0; i < 10; ++i) {
    values.Set({Id(i), cache::NodeId{1}, static_cast<float>(i)});
  }
  std::string const bytes = values.Encode();
  auto const entries = ImportanceValues::Decode(bytes);
  ASSERT_TRUE(entries);
  ImportanceValues again;
  again.Set({Id(3), cache::NodeId{1}, 77});
  again.AddMissing(*entries);
  EXPECT_EQ(again.Entries().size(), 10u);
  EXPECT_EQ(again.Entries()[*again.Find(Id(3))].value, 77.0F);
  EXPECT_EQ(again.Entries()[*again.Find(Id(9))].value, 9.0F);
  for (size_t at = 0; at < bytes.size(); ++at) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 4);
    EXPECT_FALSE(ImportanceValues::Decode(damaged)) << at;
    EXPECT_FALSE(ImportanceValues::Decode(bytes.substr(0, at))) << at;
  }
}

}  // namespace
}  // namespace stokefs::hints
