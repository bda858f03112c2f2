#include "experiments/observer/token_reader.h"

#include "cdc/consistent_cut.h"
#include "experiments/workloads/shop_names.h"

namespace indoubt {
namespace {

constexpr auto kBetweenReads = std::chrono::milliseconds(5);
constexpr auto kSqliteBusy = std::chrono::seconds(5);
// For a token, and for a cut. What takes longer is no read, and counts as neither.
constexpr auto kPatience = std::chrono::seconds(10);

const ViewOptions& ViewOfKind(const CdcOptions& views, ViewKind kind) {
  for (const ViewOptions& view : views.views) {
    if (view.kind == kind) return view;
  }
  INDOUBT_CHECK(false, "a derived path has a view of each kind");
  return views.views.front();
}

double MillisecondsSince(int64_t began) {
  return static_cast<double>(MonotonicNanos() - began) / 1e6;
}

}  // namespace

Result<bool> TokenReader::Stores::InStock(int64_t order) {
  INDOUBT_RETURN_IF_ERROR(redis->Revive());
  INDOUBT_ASSIGN_OR_RETURN(const auto values, redis->Get({ReservedKey(order)}));
  return values[0].has_value();
}

Result<bool> TokenReader::Stores::InLedger(int64_t order) {
  INDOUBT_ASSIGN_OR_RETURN(
      const auto entries,
      sqlite->Query("SELECT 1 FROM entries WHERE order_id = ?1", {std::to_string(order)}));
  return !entries.empty();
}

TokenReader::TokenReader(const CdcOptions& views, NdjsonFile& out)
    : views_(views),
      out_(out),
      own_("reader of own writes", kBetweenReads, [this] { return ReadOwn(); }),
      pair_("reader of cuts", kBetweenReads, [this] { return ReadPair(); }) {}

Result<TokenReader::Stores> TokenReader::Connect(const StoreEndpoints& stores) {
  Stores made;
  INDOUBT_ASSIGN_OR_RETURN(made.redis, RedisClient::Connect(stores.redis_uri));
  INDOUBT_ASSIGN_OR_RETURN(made.sqlite,
                           SqliteClient::Open(stores.sqlite_path, false, kSqliteBusy));
  return made;
}

Result<std::unique_ptr<TokenReader>> TokenReader::Start(const StoreEndpoints& stores,
                                                        const CdcOptions& views,
                                                        NdjsonFile& out) {
  std::unique_ptr<TokenReader> reader(new TokenReader(views, out));
  INDOUBT_ASSIGN_OR_RETURN(reader->source_, PostgresClient::Connect(stores.postgres_dsn));
  INDOUBT_ASSIGN_OR_RETURN(reader->own_stores_, Connect(stores));
  INDOUBT_ASSIGN_OR_RETURN(reader->pair_stores_, Connect(stores));
  reader->own_.Start();
  reader->pair_.Start();
  return reader;
}

void TokenReader::Stop() {
  own_.Stop();
  pair_.Stop();
}

std::vector<std::string> TokenReader::Troubles() const { return TroublesOf({&own_, &pair_}); }

Status TokenReader::ReadOwn() {
  const bool in_stock = ++turn_ % 2 == 0;
  INDOUBT_RETURN_IF_ERROR(ReadOwnOnce(false, in_stock));
  return ReadOwnOnce(true, in_stock);
}

// Without a token it looks as soon as it knows of the commit. With one it waits first.
Status TokenReader::ReadOwnOnce(bool with_token, bool in_stock) {
  const int64_t order = newest_;
  if (order == 0) return Status::Ok();
  const int64_t began = MonotonicNanos();
  nlohmann::json line = {{"t_ns", began},      {"kind", "own"},    {"order", order},
                         {"with", with_token}, {"lsn", nullptr},   {"waited_ms", nullptr},
                         {"stock", nullptr},   {"ledger", nullptr}};
  if (with_token) {
    INDOUBT_RETURN_IF_ERROR(source_->Revive());
    INDOUBT_ASSIGN_OR_RETURN(const auto rows,
                             source_->Query("SELECT pg_current_wal_flush_lsn()"));
    INDOUBT_ASSIGN_OR_RETURN(const Lsn token, Lsn::Parse(rows.at(0).at(0).value_or("")));
    std::unique_ptr<ViewWaiter>& waiter = in_stock ? stock_waiter_ : ledger_waiter_;
    if (!waiter) {
      const ViewKind kind = in_stock ? ViewKind::kRedis : ViewKind::kSqlite;
      INDOUBT_ASSIGN_OR_RETURN(waiter, ViewWaiter::Connect(ViewOfKind(views_, kind)));
    }
    const int64_t waits = MonotonicNanos();
    const Status reached = waiter->WaitFor(token, SystemClock().Now() + kPatience);
    if (!reached.ok()) {
      waiter.reset();
      return reached;
    }
    line["lsn"] = token.ToString();
    line["waited_ms"] = MillisecondsSince(waits);
  }
  INDOUBT_ASSIGN_OR_RETURN(const bool seen,
                           in_stock ? own_stores_.InStock(order) : own_stores_.InLedger(order));
  line[in_stock ? "stock" : "ledger"] = seen;
  out_.Write(line);
  return Status::Ok();
}

Status TokenReader::ReadPair() {
  INDOUBT_RETURN_IF_ERROR(ReadPairOnce(false));
  return ReadPairOnce(true);
}

Status TokenReader::ReadPairOnce(bool with_cut) {
  const int64_t order = newest_;
  if (order == 0) return Status::Ok();
  const int64_t began = MonotonicNanos();
  nlohmann::json line = {{"t_ns", began},    {"kind", "pair"}, {"order", order},
                         {"with", with_cut}, {"lsn", nullptr}, {"waited_ms", nullptr}};
  if (with_cut) {
    INDOUBT_ASSIGN_OR_RETURN(const auto cut,
                             ConsistentCut::Take(ViewOfKind(views_, ViewKind::kRedis),
                                                 ViewOfKind(views_, ViewKind::kSqlite),
                                                 SystemClock().Now() + kPatience));
    line["waited_ms"] = MillisecondsSince(began);
    line["lsn"] = cut->lsn().ToString();
    INDOUBT_ASSIGN_OR_RETURN(const auto stock,
                             cut->ReadRedis({{"EXISTS", ReservedKey(order)}}));
    INDOUBT_ASSIGN_OR_RETURN(
        const auto ledger,
        cut->ReadSqlite({"SELECT 1 FROM entries WHERE order_id = ?1", {Value{order}}}));
    const int64_t* exists = stock.empty() ? nullptr : std::get_if<int64_t>(&stock[0].held);
    if (exists == nullptr) {
      return Status(StatusCode::kInternal, "EXISTS gave no number");
    }
    line["stock"] = *exists == 1;
    line["ledger"] = !ledger.empty();
  } else {
    INDOUBT_ASSIGN_OR_RETURN(const bool stock, pair_stores_.InStock(order));
    INDOUBT_ASSIGN_OR_RETURN(const bool ledger, pair_stores_.InLedger(order));
    line["stock"] = stock;
    line["ledger"] = ledger;
  }
  out_.Write(line);
  return Status::Ok();
}

}  // namespace indoubt
