#include "cdc/worker.h"

#include <mutex>
#include <thread>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cdc/session.h"
#include "cdc/views/redis_view.h"
#include "cdc/views/sqlite_view.h"

namespace indoubt {
namespace {

using cdc_internal::PgConnection;
using cdc_internal::Session;
using cdc_internal::SourceState;
using cdc_internal::StopSignal;

// Between two attempts at a new snapshot.
constexpr std::chrono::milliseconds kFirstBackOff{20};
constexpr std::chrono::milliseconds kLastBackOff{2000};

}  // namespace

class CdcWorker::Impl {
 public:
  explicit Impl(CdcOptions options) : options_(std::move(options)) {}
  ~Impl() { Stop(); }

  Status Start() {
    session_ = std::make_unique<Session>(options_);
    INDOUBT_RETURN_IF_ERROR(session_->Open());
    last_loss_ = session_->loss();
    open_ = true;
    if (options_.on_slot_loss == OnSlotLoss::kSnapshot) {
      supervisor_ = std::thread([this] { Supervise(); });
    }
    return Status::Ok();
  }

  void Stop() {
    stop_.Set();
    {
      const std::lock_guard lock(mutex_);
      if (session_) session_->RequestStop();
    }
    const std::lock_guard joining(joining_);
    if (supervisor_.joinable()) supervisor_.join();
    if (session_) session_->Stop();  // nobody replaces it any more
  }

  CdcStatus status() const {
    const std::lock_guard lock(mutex_);
    CdcStatus status = before_;
    if (open_) status = session_->status();
    if (!open_) status.source_health = trouble_;
    status.last_loss = last_loss_;
    return status;
  }

  bool source_lost() const {
    const std::lock_guard lock(mutex_);
    if (!open_) return given_up_;
    const SourceState source = session_->source();
    const bool mended = options_.on_slot_loss == OnSlotLoss::kSnapshot && source.slot_lost;
    return source.lost && !mended;
  }

 private:
  // A session after the other, each begun by the loss of the slot.
  void Supervise() {
    for (;;) {
      session_->WaitForSourceEnd();  // only this thread replaces it
      if (stop_.is_set() || !session_->source().slot_lost) return;
      Close(session_->source().health);
      if (!OpenNext()) return;
    }
  }

  void Close(const Status& loss) {
    std::unique_ptr<Session> old;
    {
      const std::lock_guard lock(mutex_);
      before_ = session_->status();
      last_loss_ = trouble_ = loss;
      open_ = false;
      old = std::move(session_);
    }
    old->Stop();
  }

  bool OpenNext() {
    Duration back_off = kFirstBackOff;
    while (!stop_.is_set()) {
      {
        const std::lock_guard lock(mutex_);
        session_ = std::make_unique<Session>(options_);
        if (stop_.is_set()) return false;
      }
      const Status opened = session_->Open();
      {
        const std::lock_guard lock(mutex_);
        if (opened.ok()) {
          open_ = true;
          return true;
        }
        trouble_ = opened;
        session_.reset();  // lets the log's lock go
        given_up_ = cdc_internal::SlotIsLost(opened);
        if (given_up_) return false;
      }
      back_off = std::min<Duration>(back_off * 2, kLastBackOff);
      stop_.SleepUntil(SystemClock().Now() + back_off);  // with mutex_, nobody learnt why
    }
    return false;
  }

  const CdcOptions options_;
  StopSignal stop_;
  mutable std::mutex mutex_;  // guards what follows, but for the supervisor's own reads
  std::unique_ptr<Session> session_;
  bool open_ = false;      // the session is
  bool given_up_ = false;  // no session will come
  CdcStatus before_;       // what the last one was at
  Status trouble_;         // why none is open
  Status last_loss_;
  std::mutex joining_;  // two callers of Stop may not join the same thread
  std::thread supervisor_;
};

CdcWorker::CdcWorker(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
CdcWorker::~CdcWorker() = default;

Result<std::unique_ptr<CdcWorker>> CdcWorker::Start(const CdcOptions& options) {
  auto impl = std::make_unique<Impl>(options);
  INDOUBT_RETURN_IF_ERROR(impl->Start());
  return std::unique_ptr<CdcWorker>(new CdcWorker(std::move(impl)));
}

CdcStatus CdcWorker::status() const { return impl_->status(); }

Status CdcWorker::health() const {
  const CdcStatus now = status();
  if (!now.source_health.ok()) return now.source_health;
  for (const ViewState& view : now.views) {
    if (!view.health.ok()) return view.health;
  }
  return now.retention;
}

bool CdcWorker::source_lost() const { return impl_->source_lost(); }

void CdcWorker::Stop() { impl_->Stop(); }

Result<ViewOptions> FindView(const CdcOptions& options, const std::string& name) {
  std::string known;
  for (const ViewOptions& view : options.views) {
    if (view.name == name) return view;
    known += (known.empty() ? "" : ", ") + view.name;
  }
  return Status(StatusCode::kInvalidArgument,
                fmt::format("there is no view \"{}\"; the configuration has {}",
                            name.substr(0, 80), known));
}

Result<ViewPosition> ReadViewPosition(const ViewOptions& options) {
  switch (options.kind) {
    case ViewKind::kRedis:
      return ReadRedisPosition(options);
    case ViewKind::kSqlite:
    case ViewKind::kSearch:
      return ReadSqlitePosition(options);
  }
  return Status(StatusCode::kInternal, "unknown kind of view");
}

Result<std::map<std::string, Lsn>> ReadPositions(const CdcOptions& options) {
  std::map<std::string, Lsn> positions;
  for (const ViewOptions& view : options.views) {
    const auto position = ReadViewPosition(view);
    if (!position) return position.error().WithContext("view " + view.name);
    positions[view.name] = position->position.lsn;
  }
  return positions;
}

Result<std::vector<ParkedReport>> ReadParkedEvents(const ViewOptions& view) {
  INDOUBT_ASSIGN_OR_RETURN(auto parked, view.kind == ViewKind::kRedis ? ReadRedisParked(view)
                                                                      : ReadSqliteParked(view));
  std::vector<ParkedReport> reports;
  reports.reserve(parked.size());
  for (ParkedEvent& event : parked) {
    reports.push_back({event.position, std::move(event.reason)});
  }
  return reports;
}

Status AskForRetry(const ViewOptions& view) {
  return view.kind == ViewKind::kRedis ? AskRedisRetry(view) : AskSqliteRetry(view);
}

Result<bool> RetryIsPending(const ViewOptions& view) {
  INDOUBT_ASSIGN_OR_RETURN(const bool asked, view.kind == ViewKind::kRedis
                                                 ? RedisRetryIsAsked(view)
                                                 : SqliteRetryIsAsked(view));
  if (!asked) return false;
  // With nothing parked the worker does not look whether it was asked.
  INDOUBT_ASSIGN_OR_RETURN(const auto parked, ReadParkedEvents(view));
  return !parked.empty();
}

Result<Lsn> ReadSourceFlushLsn(const std::string& source_dsn, TimePoint deadline) {
  const StopSignal never;
  INDOUBT_ASSIGN_OR_RETURN(auto connection,
                           PgConnection::Connect(source_dsn, false, never, deadline));
  INDOUBT_ASSIGN_OR_RETURN(const auto rows,
                           connection->Query("SELECT pg_current_wal_flush_lsn()", deadline));
  if (rows.empty() || !rows[0][0]) {
    return Status(StatusCode::kInternal, "cdc source: it does not say how far it is");
  }
  return Lsn::Parse(*rows[0][0]);
}

Status WaitForViews(const CdcOptions& options, TimePoint deadline) {
  INDOUBT_ASSIGN_OR_RETURN(const Lsn target, ReadSourceFlushLsn(options.source_dsn, deadline));
  for (;;) {
    INDOUBT_ASSIGN_OR_RETURN(const auto positions, ReadPositions(options));
    std::vector<std::string> behind;
    for (const auto& [name, lsn] : positions) {
      if (lsn < target) behind.push_back(fmt::format("{} is at {}", name, lsn.ToString()));
    }
    if (behind.empty()) return Status::Ok();
    if (SystemClock().Now() >= deadline) {
      return Status(StatusCode::kDeadlineExceeded,
                    fmt::format("views have not reached {} of the source: {}",
                                target.ToString(), fmt::join(behind, ", ")));
    }
    // Only the sinks know, in another process: there is nothing to be woken by.
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

}  // namespace indoubt
