// Which statements a session keeps prepared on its server. Parsing and planning cost more
// server time than running a statement that changes one row; what comes again and again is
// sent by name.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include <libpq-fe.h>

#include "base/clock.h"

namespace indoubt::pg {

/// What one session's server holds for us, at most kMostKept statements. It mirrors the
/// session: who sends what Find says must also tell it how that ended. Prepared statements
/// outlive a rollback. One thread.
class KeptStatements {
 public:
  static constexpr size_t kMostKept = 64;
  /// After that long one is parsed anew. The server reads a parameter with the type that its
  /// column had when the statement was parsed, also after ALTER TABLE, and may say nothing.
  static constexpr Duration kLife = std::chrono::seconds(30);
  static constexpr std::string_view kNoSuchStatement = "26000";  // a SQLSTATE

  struct Found {
    std::string name;                   // to run it by; empty: send the text
    bool parse = false;                 // it must be prepared under `name` first ...
    std::vector<std::string> let_go{};  // ... and these deallocated before that
  };
  /// What is found from here on goes out together: none of it makes room for the rest.
  void StartScript(TimePoint now) {
    script_began_ = clock_;
    now_ = now;
  }
  /// How to send `text` with parameters of `types` (0: the server's choice). A text is kept
  /// from the second time on: many come once, with their values in them.
  Found Find(const std::string& text, const std::vector<Oid>& types);

  /// `name` was to be prepared and was not.
  void NotPrepared(const std::string& name);
  /// The run of `name`, or its letting go, failed. One that could be stale (a column's type was
  /// changed) is parsed anew when it comes again; all are forgotten when the server does not
  /// know it any more (DEALLOCATE ALL).
  void Failed(const std::string& name, const std::string& sqlstate);
  /// `name` was to be let go and was not.
  void StillThere(const std::string& name) { let_go_.push_back(name); }

 private:
  struct Kept {
    std::string name;
    uint64_t used = 0;  // when last, by clock_
    TimePoint parsed;
  };
  using ByKey = std::map<std::string, Kept>;
  ByKey::iterator Named(const std::string& name);
  bool MakeRoom();

  ByKey kept_;                       // by text and types
  std::vector<std::string> let_go_;  // not kept any more; the server still has them
  std::unordered_set<std::string> seen_once_;
  uint64_t clock_ = 0;
  uint64_t script_began_ = 0;  // by clock_
  TimePoint now_;              // when the script began
};

}  // namespace indoubt::pg
