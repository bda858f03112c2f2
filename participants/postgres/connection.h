// One libpq connection, nonblocking and in pipeline mode: a script of commands goes
// out at once and its replies come back together.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <libpq-fe.h>

#include "base/clock.h"
#include "participants/participant.h"
#include "participants/postgres/connection_string.h"
#include "participants/postgres/kept_statements.h"

namespace indoubt::pg {

struct Command {
  std::string text;
  std::vector<Value> params{};
  /// The server sends the replies up to here before it goes on.
  bool flush_after = false;
  /// What follows in the script is another transaction, and runs also if this one failed.
  bool sync_after = false;
  /// A user's: when the rows of all such of a script pass kMaxResultBytes, those of the
  /// command that does so are read and dropped.
  bool bounded = false;
  /// The session may keep it prepared, if it comes again (MayBeKept, kept_statements.h).
  bool keep = false;
};

struct Reply {
  enum class Kind { kDone, kError, kSkipped };
  Kind kind = Kind::kSkipped;  // skipped: an earlier command of the script failed
  std::string tag;             // with kDone, e.g. "PREPARE TRANSACTION"
  StatementResult result;      // with kDone
  bool too_big = false;        // with kDone: its rows were dropped
  std::string sqlstate;        // with kError
  std::string message;         // with kError: one line, with detail, hint and SQLSTATE
};

struct ScriptReply {
  bool lost = false;        // the connection broke before the end; what ran is unknown
  std::string lost_reason;  // one line, without secrets
  /// One a command, kSkipped where none arrived. None at all, and `lost`, when the connection
  /// was found broken before: then nothing was sent.
  std::vector<Reply> replies{};

  /// The first command that failed, if any.
  std::optional<size_t> FirstError() const;
};

/// Used by the pool's thread only.
class Connection {
 public:
  enum class State { kConnecting, kIdle, kRunning, kTrailing, kBroken };

  /// Starts to connect. Host names are looked up here, by the C library.
  explicit Connection(const ConnectionString& where);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  State state() const { return state_; }
  /// What poll() should wait for; fd -1 once broken.
  int fd() const;
  short poll_events() const;
  /// Goes on after poll() reported something.
  void Advance();
  /// False when an idle connection's server has hung up, as far as can be seen.
  bool LooksAlive() const;

  /// Sends `commands` as one pipeline. Needs kIdle. The reply shows up in
  /// TakeReply, also when the connection breaks. `epilogue` follows in the same pipeline, as a
  /// transaction of its own, also when `commands` failed; the reply to `commands` does not wait
  /// for it (kTrailing), and its own comes out of TakeEpilogue, unless the other was lost.
  void Run(const std::vector<Command>& commands, const std::vector<Command>& epilogue = {});
  std::optional<ScriptReply> TakeReply();
  std::optional<ScriptReply> TakeEpilogue();
  /// Whether TakeEpilogue has, or will have, something to give.
  bool epilogue_due() const { return state_ == State::kTrailing || epilogue_.has_value(); }

  /// Closes it; a script under way ends as lost.
  void Break(const std::string& reason);
  const std::string& broken_reason() const { return broken_reason_; }
  /// The server process of the session; 0 without one.
  int backend_pid() const;
  /// Whether the session is in a transaction block (failed or not).
  bool InTransaction() const;

 private:
  /// One request of a pipeline, and its result.
  struct Step {
    enum class Does { kDeallocate, kPrepare, kRun } does = Does::kRun;
    size_t command = 0;     // of the script
    std::string statement;  // a kept one's name; empty: sent by its text
  };
  void AdvanceConnect();
  bool SendAll(const std::vector<Command>& commands, size_t first_number);
  bool Send(const Command& command, size_t number);
  void Flush();
  void ReadReplies();
  void TakeResult(PGresult* result);
  void TakeError(PGresult* result, const Step& step, Reply& reply);
  void TakeRow(PGresult* result, Reply& reply);
  void Skipped(const Step& step);
  void OnSync();
  void FinishScript(bool lost);
  Reply& ReplyTo(const Step& step) { return script_.replies[step.command - taken_]; }

  const ConnectionString& where_;
  std::unique_ptr<PGconn, void (*)(PGconn*)> connection_;
  State state_ = State::kConnecting;
  PostgresPollingStatusType connect_wants_ = PGRES_POLLING_WRITING;
  bool wants_write_ = false;
  std::string broken_reason_;
  ScriptReply script_;
  size_t length_ = 0;          // of the script, without its epilogue
  size_t taken_ = 0;           // commands whose replies have left script_
  std::vector<Step> steps_;    // of the script
  std::vector<bool> bounded_;  // of the script's commands
  size_t room_ = 0;            // what the results of those may still take
  size_t next_step_ = 0;
  size_t syncs_left_ = 0;  // whose answer is to come
  bool step_has_result_ = false;
  KeptStatements kept_;
  std::optional<ScriptReply> finished_, epilogue_;
};

}  // namespace indoubt::pg
