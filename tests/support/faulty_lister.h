// A FolderLister in front of another: counts, fails, or hangs where the test says.
#pragma once

#include <cerrno>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "base/sync.h"
#include "cache/folder_lister.h"

namespace stokefs::testing {

// What the test steers; outlives the lister. Thread-safe.
class ListerFaults {
 public:
  void FailOpen(const std::string& path, int error) EXCLUDES(mu_) {
    base::MutexLock lock(mu_);
    errors_[path] = error;
  }
  void FailStat(const std::string& name, int error) EXCLUDES(mu_) {
    base::MutexLock lock(mu_);
    stat_errors_[name] = error;
  }
  void Hang(const std::string& path) EXCLUDES(mu_) {
    base::MutexLock lock(mu_);
    hung_.insert(path);
  }
  void ReleaseAll() EXCLUDES(mu_) {
    base::MutexLock lock(mu_);
    hung_.clear();
    errors_.clear();
    stat_errors_.clear();
    changed_.SignalAll();
  }
  // Waits until someone hangs in `path`.
  void AwaitHung(const std::string& path) EXCLUDES(mu_) {
    base::MutexLock lock(mu_);
    while (!hanging_.contains(path)) changed_.Wait(mu_);
  }
  size_t OpenCount() const EXCLUDES(mu_) {
    base::MutexLock lock(mu_);
    return open_count_;
  }
  size_t OpenCount(const std::string& path) const EXCLUDES(mu_) {
    base::MutexLock lock(mu_);
    auto const found = opens_.find(path);
    return found == opens_.end() ? 0 : found->second;
  }

  // For the lister: an errno, or 0, once the folder does not hang (any more).
  int OnOpen(const std::string& path) EXCLUDES(mu_) {
    base::MutexLock lock(mu_);
    ++open_count_;
    ++opens_[path];
    if (hung_.contains(path)) {
      hanging_.insert(path);
      changed_.SignalAll();
      while (hung_.contains(path)) changed_.Wait(mu_);
      hanging_.erase(path);
    }
    auto const found = errors_.find(path);
    return found == errors_.end() ? 0 : found->second;
  }
  int OnStat(std::string_view name) EXCLUDES(mu_) {
    base::MutexLock lock(mu_);
    auto const found = stat_errors_.find(std::string(name));
    return found == stat_errors_.end() ? 0 : found->second;
  }

 private:
  mutable base::Mutex mu_;
  base::CondVar changed_;
  std::map<std::string, int> errors_ GUARDED_BY(mu_);
  std::map<std::string, int> stat_errors_ GUARDED_BY(mu_);
  std::map<std::string, size_t> opens_ GUARDED_BY(mu_);
  std::set<std::string> hung_ GUARDED_BY(mu_);
  std::set<std::string> hanging_ GUARDED_BY(mu_);
  size_t open_count_ GUARDED_BY(mu_) = 0;
};

class FaultyLister final : public cache::FolderLister {
 public:
  FaultyLister(std::unique_ptr<cache::FolderLister> real, ListerFaults& faults)
      : real_(std::move(real)), faults_(faults) {}

  base::Result<std::unique_ptr<cache::OpenedFolder>> Open(const std::string& path) override {
    if (int const error = faults_.OnOpen(path)) return base::FailErrno(error, "open " + path);
    auto folder = real_->Open(path);
    if (!folder) return folder;
    return std::make_unique<Folder>(std::move(*folder), faults_);
  }

 private:
  class Folder final : public cache::OpenedFolder {
   public:
    Folder(std::unique_ptr<cache::OpenedFolder> real, ListerFaults& faults)
        : real_(std::move(real)), faults_(faults) {}
    base::Result<cache::OriginStat> Self() override { return real_->Self(); }
    base::Status ReadNames(const std::function<void(std::string_view)>& add) override {
      return real_->ReadNames(add);
    }
    base::Result<cache::StatAnswer> Stat(std::string_view name) const override {
      if (int const error = faults_.OnStat(name)) return base::FailErrno(error, "stat");
      return real_->Stat(name);
    }

   private:
    const std::unique_ptr<cache::OpenedFolder> real_;
    ListerFaults& faults_;
  };

  const std::unique_ptr<cache::FolderLister> real_;
  ListerFaults& faults_;
};

}  // namespace stokefs::testing
