#include "participants/postgres/connection.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <utility>

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/text.h"
#include "participants/postgres/sql_text.h"
#include "participants/postgres/values.h"
#include "participants/result_limit.h"

namespace indoubt::pg {
namespace {

std::string Field(const PGresult* result, int which) {
  const char* text = PQresultErrorField(result, which);
  return text == nullptr ? "" : text;
}

std::string DescribeError(const PGresult* result) {
  std::string text = Field(result, PG_DIAG_MESSAGE_PRIMARY);
  if (text.empty()) text = PQresultErrorMessage(result);
  const std::string detail = Field(result, PG_DIAG_MESSAGE_DETAIL);
  const std::string hint = Field(result, PG_DIAG_MESSAGE_HINT);
  const std::string sqlstate = Field(result, PG_DIAG_SQLSTATE);
  if (!detail.empty()) text += "; " + detail;
  if (!hint.empty()) text += "; " + hint;
  if (!sqlstate.empty()) text += fmt::format(" (SQLSTATE {})", sqlstate);
  return OneLine(text);
}

}  // namespace

std::optional<size_t> ScriptReply::FirstError() const {
  for (size_t i = 0; i < replies.size(); ++i) {
    if (replies[i].kind == Reply::Kind::kError) return i;
  }
  return std::nullopt;
}

Connection::Connection(const ConnectionString& where)
    : where_(where), connection_(nullptr, PQfinish) {
  // Later keywords win: ours first where the user may choose, last where not.
  constexpr std::array kKeywords{
      "fallback_application_name", "keepalives_idle",
      "tcp_user_timeout",          "dbname",
      "client_encoding",           static_cast<const char*>(nullptr)};
  const std::array values{"indoubt",           "10",   "10000",
                          where.dsn().c_str(), "UTF8", static_cast<const char*>(nullptr)};
  connection_.reset(PQconnectStartParams(kKeywords.data(), values.data(), /*expand_dbname=*/1));
  if (!connection_ || PQstatus(connection_.get()) == CONNECTION_BAD) {
    Break(connection_ ? PQerrorMessage(connection_.get()) : "out of memory");
    return;
  }
  PQsetNoticeProcessor(
      connection_.get(), [](void*, const char*) {}, nullptr);
}

int Connection::fd() const { return connection_ ? PQsocket(connection_.get()) : -1; }

short Connection::poll_events() const {
  if (state_ == State::kConnecting) {
    return connect_wants_ == PGRES_POLLING_READING ? POLLIN : POLLOUT;
  }
  return static_cast<short>(POLLIN | (wants_write_ ? POLLOUT : 0));
}

void Connection::Advance() {
  if (state_ == State::kBroken) return;
  if (state_ == State::kConnecting) return AdvanceConnect();
  if (PQconsumeInput(connection_.get()) == 0) return Break(PQerrorMessage(connection_.get()));
  if (wants_write_) Flush();
  if (state_ != State::kBroken) ReadReplies();
}

void Connection::AdvanceConnect() {
  connect_wants_ = PQconnectPoll(connection_.get());
  if (connect_wants_ == PGRES_POLLING_FAILED) return Break(PQerrorMessage(connection_.get()));
  if (connect_wants_ != PGRES_POLLING_OK) return;
  if (PQsetnonblocking(connection_.get(), 1) != 0 ||
      PQenterPipelineMode(connection_.get()) != 1) {
    return Break("cannot enter libpq's pipeline mode");
  }
  state_ = State::kIdle;
}

bool Connection::LooksAlive() const {
  if (state_ != State::kIdle) return false;
  char byte = 0;
  const ssize_t got = recv(fd(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
}

void Connection::Run(const std::vector<Command>& commands,
                     const std::vector<Command>& epilogue) {
  INDOUBT_CHECK(state_ == State::kIdle && !finished_ && !epilogue_, "one script at a time");
  script_ = ScriptReply{};
  length_ = commands.size();
  taken_ = 0;
  script_.replies.resize(commands.size() + epilogue.size());
  steps_.clear();
  next_step_ = 0;
  syncs_left_ = 0;
  step_has_result_ = false;
  room_ = kMaxResultBytes;
  bounded_.clear();
  state_ = State::kRunning;
  kept_.StartScript(SystemClock().Now());
  // A sync also sends what there is.
  const bool sent = SendAll(commands, 0) && (epilogue.empty() || SendAll(epilogue, length_));
  if (!sent) return Break(PQerrorMessage(connection_.get()));
  Flush();
}

/// Up to a sync; false when libpq cannot.
bool Connection::SendAll(const std::vector<Command>& commands, size_t first_number) {
  for (size_t i = 0; i < commands.size(); ++i) {
    if (!Send(commands[i], first_number + i)) return false;
    // The first of a pipeline is the current one from now on, the others after a null.
    if (first_number + i == 0) PQsetSingleRowMode(connection_.get());
    bounded_.push_back(commands[i].bounded);
    if (!commands[i].sync_after) continue;
    ++syncs_left_;
    if (PQpipelineSync(connection_.get()) != 1) return false;
  }
  ++syncs_left_;
  return PQpipelineSync(connection_.get()) == 1;
}

/// False when libpq cannot.
bool Connection::Send(const Command& command, size_t number) {
  PGconn* const to = connection_.get();
  const WireParameters parameters(command.params);
  KeptStatements::Found kept;
  if (command.keep) kept = kept_.Find(command.text, parameters.types());
  for (const std::string& name : kept.let_go) {
    steps_.push_back({Step::Does::kDeallocate, number, name});
    const std::string deallocate = "DEALLOCATE " + name;
    if (PQsendQueryParams(to, deallocate.c_str(), 0, nullptr, nullptr, nullptr, nullptr, 0) !=
        1) {
      return false;
    }
  }
  if (kept.parse) {
    steps_.push_back({Step::Does::kPrepare, number, kept.name});
    if (PQsendPrepare(to, kept.name.c_str(), command.text.c_str(), parameters.count(),
                      parameters.types().data()) != 1) {
      return false;
    }
  }
  const bool sent =
      kept.name.empty()
          ? PQsendQueryParams(to, command.text.c_str(), parameters.count(),
                              parameters.types().data(), parameters.values(),
                              parameters.lengths(), parameters.formats(),
                              /*resultFormat=*/0) == 1
          : PQsendQueryPrepared(to, kept.name.c_str(), parameters.count(), parameters.values(),
                                parameters.lengths(), parameters.formats(),
                                /*resultFormat=*/0) == 1;
  steps_.push_back({Step::Does::kRun, number, std::move(kept.name)});
  return sent && (!command.flush_after || PQsendFlushRequest(to) == 1);
}

void Connection::Flush() {
  const int flushed = PQflush(connection_.get());
  if (flushed < 0) return Break(PQerrorMessage(connection_.get()));
  wants_write_ = flushed == 1;
}

void Connection::ReadReplies() {
  // A null result ends one command's results; two in a row mean that no more is here.
  bool last_was_null = false;
  while ((state_ == State::kRunning || state_ == State::kTrailing) &&
         PQisBusy(connection_.get()) == 0) {
    const std::unique_ptr<PGresult, void (*)(PGresult*)> result(PQgetResult(connection_.get()),
                                                                PQclear);
    if (!result) {
      if (last_was_null) break;
      last_was_null = true;
      if (step_has_result_) ++next_step_;
      step_has_result_ = false;
      // Row by row, so that libpq holds no result whole. (Refused before a sync's reply.)
      PQsetSingleRowMode(connection_.get());
      continue;
    }
    last_was_null = false;
    TakeResult(result.get());
  }
  if (state_ != State::kBroken && PQstatus(connection_.get()) == CONNECTION_BAD) {
    Break(PQerrorMessage(connection_.get()));
  }
}

void Connection::TakeResult(PGresult* result) {
  const ExecStatusType status = PQresultStatus(result);
  if (status == PGRES_PIPELINE_SYNC) return OnSync();
  if (next_step_ >= steps_.size()) return;  // a FATAL after the last reply
  const Step& step = steps_[next_step_];
  Reply& reply = ReplyTo(step);
  step_has_result_ = true;
  if (status == PGRES_PIPELINE_ABORTED) return Skipped(step);
  if (status == PGRES_SINGLE_TUPLE) return TakeRow(result, reply);
  if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY) {
    if (step.does != Step::Does::kRun) return;
    reply.kind = Reply::Kind::kDone;
    reply.tag = PQcmdStatus(result);
    reply.result.rows = ReadResult(result).rows;  // the values came row by row
  } else if (status == PGRES_FATAL_ERROR && PQresultErrorField(result, PG_DIAG_SQLSTATE)) {
    TakeError(result, step, reply);
  } else if (status == PGRES_FATAL_ERROR) {
    Break(PQresultErrorMessage(result));  // libpq's own: the connection is gone
  } else {
    Break(fmt::format("unexpected {} in reply", PQresStatus(status)));
  }
}

void Connection::TakeError(PGresult* result, const Step& step, Reply& reply) {
  reply.kind = Reply::Kind::kError;
  reply.result = StatementResult{};
  reply.sqlstate = Field(result, PG_DIAG_SQLSTATE);
  reply.message = DescribeError(result);
  if (step.statement.empty()) return;
  const bool gone = reply.sqlstate == KeptStatements::kNoSuchStatement;
  if (step.does != Step::Does::kRun && !gone) return Skipped(step);
  kept_.Failed(step.statement, reply.sqlstate);
}

/// It had no effect on what the session keeps.
void Connection::Skipped(const Step& step) {
  if (step.does == Step::Does::kPrepare) kept_.NotPrepared(step.statement);
  if (step.does == Step::Does::kDeallocate) kept_.StillThere(step.statement);
}

void Connection::TakeRow(PGresult* result, Reply& reply) {
  if (reply.too_big) return;
  StatementResult one = ReadResult(result);
  const size_t size = bounded_[steps_[next_step_].command] ? SizeInMemory(one) : 0;
  if (size > room_) {
    reply.too_big = true;
    reply.result = StatementResult{};
    return;
  }
  room_ -= size;
  std::move(one.values.begin(), one.values.end(), std::back_inserter(reply.result.values));
}

void Connection::OnSync() {
  --syncs_left_;
  if (syncs_left_ == 0) return FinishScript(/*lost=*/false);
  if (state_ != State::kRunning || next_step_ >= steps_.size() ||
      steps_[next_step_].command < length_) {
    return;
  }
  const auto end = script_.replies.begin() + static_cast<std::ptrdiff_t>(length_);
  finished_ = ScriptReply{.replies = {std::make_move_iterator(script_.replies.begin()),
                                      std::make_move_iterator(end)}};
  script_.replies.erase(script_.replies.begin(), end);
  taken_ = length_;
  state_ = State::kTrailing;
}

void Connection::FinishScript(bool lost) {
  script_.lost = lost;
  if (lost) script_.lost_reason = broken_reason_;
  const bool trailing = taken_ > 0;
  if (!trailing) script_.replies.resize(length_);
  (trailing ? epilogue_ : finished_) = std::exchange(script_, ScriptReply{});
  if (!lost) state_ = State::kIdle;
}

std::optional<ScriptReply> Connection::TakeReply() {
  return std::exchange(finished_, std::nullopt);
}

std::optional<ScriptReply> Connection::TakeEpilogue() {
  return std::exchange(epilogue_, std::nullopt);
}

void Connection::Break(const std::string& reason) {
  if (state_ == State::kBroken) return;
  const State before = std::exchange(state_, State::kBroken);
  broken_reason_ = where_.WithoutSecrets(reason);
  connection_.reset();
  if (before == State::kRunning || before == State::kTrailing) FinishScript(/*lost=*/true);
}

int Connection::backend_pid() const {
  return connection_ ? PQbackendPID(connection_.get()) : 0;
}

bool Connection::InTransaction() const {
  return connection_ && PQtransactionStatus(connection_.get()) != PQTRANS_IDLE;
}

}  // namespace indoubt::pg
